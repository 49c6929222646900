import { open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { exportLog } from '../../workers/audit/export-log.ts'
import { argument, CliError, say } from './command.ts'
import type { Given } from './command.ts'
import { withDatabase } from './database.ts'

/** Opens a file that is not there yet, for its owner alone. @throws CliError */
export async function newFile(path: string): Promise<FileHandle> {
  return open(path, 'wx', 0o600).catch((error: unknown) => {
    throw new CliError(`${path} cannot be made: ${String(error)}`)
  })
}

/** The command that writes the whole log into a new file. */
export async function exportFile(given: Given): Promise<number> {
  const path = argument(given, 0, 'file')
  const file = await newFile(path)
  try {
    const { events, hash } = await withDatabase((database) =>
      exportLog(database.profile().newFeed(), (text) => file.appendFile(text)),
    )
    await file.sync()
    say(`${events} events are in ${path}.`)
    say(`Keep this hash elsewhere; \`audit verify --hash\` takes it: ${hash}`)
    return 0
  } catch (error) {
    // A torn export is of no use, and would be in the way of the next one.
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}
