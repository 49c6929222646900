import { readConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { openToolDatabase } from '../profiles/tool.ts'
import type { ToolDatabase } from '../profiles/tool.ts'

/** Opens the installation's database for a command, and closes whatever it opened. */
export async function withDatabase<T>(
  use: (database: ToolDatabase, config: Config) => Promise<T>,
): Promise<T> {
  const config = readConfig()
  const database = await openToolDatabase(config)
  try {
    return await use(database, config)
  } finally {
    await database.close()
  }
}
