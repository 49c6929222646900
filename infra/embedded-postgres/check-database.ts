import pg from 'pg'
import { errorCode } from './files.ts'

const connectLimitMs = 5_000
/** 15.0 in the form of the setting server_version_num. */
const oldestVersion = 150_000

/**
 * Makes sure that a Postgres of the user's own can be used.
 *
 * @throws Error with one sentence, without the password
 */
export async function checkDatabase(databaseUrl: string): Promise<void> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: connectLimitMs,
    query_timeout: connectLimitMs,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ number: string; text: string }>(
      `SELECT current_setting('server_version_num') AS number,
              current_setting('server_version') AS text`,
    )
    const [version] = rows
    if (version && Number(version.number) >= oldestVersion) return
    throw new Error(`it is PostgreSQL ${version?.text}, weir needs 15 or newer`)
  } catch (error) {
    throw new Error(`DATABASE_URL: ${reason(error, client)}.`, { cause: error })
  } finally {
    await client.end().catch(() => undefined)
  }
}

function reason(error: unknown, { host, port, user, database, password }: pg.Client): string {
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: `nothing listens on ${host}:${port}`,
    ENOTFOUND: `there is no host "${host}"`,
    EAI_AGAIN: `the host "${host}" cannot be looked up`,
    ETIMEDOUT: `${host}:${port} does not answer`,
    '28P01': `${host}:${port} refused the user "${user}" or the password`,
    '28000': `${host}:${port} refused the user "${user}"`,
    '3D000': `there is no database "${database}" on ${host}:${port}`,
    '53300': `${host}:${port} has no connection left`,
  }
  const known = reasons[errorCode(error) ?? '']
  if (known) return known
  const message = error instanceof Error ? error.message : String(error)
  const line = message.split('\n')[0]?.replace(/\.$/, '') ?? ''
  return password ? line.replaceAll(password, '***') : line
}
