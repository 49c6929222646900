import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { waitFor } from './wait-for.ts'

export const urlVariable = 'WEIR_TEST_DATABASE_URL'
export const templateVariable = 'WEIR_TEST_TEMPLATE'

export interface TestDatabase {
  /** Connection string of a database that no other test file sees. */
  readonly url: string
  /** For looking into the database; the code under test opens its own connections. */
  readonly pool: pg.Pool
  /** Drops the database; throws when a connection other than `pool` is still open. */
  close(): Promise<void>
}

export interface ClonedDatabase {
  readonly serverUrl: string
  readonly name: string
  readonly url: string
}

/**
 * A migrated database of the test file's own, cloned from the template in about 50 ms. Call it in
 * beforeAll and its `close` in afterAll, last.
 */
export async function testDatabase(): Promise<TestDatabase> {
  const { serverUrl, name, url } = await cloneDatabase()
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  // The pool of a test that ends the server's connections must not end the test process.
  pool.on('error', () => undefined)
  return {
    url,
    pool,
    close: async () => {
      await pool.end()
      const leaked = await openConnections(serverUrl, name)
      await administer(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`)
      if (leaked.length > 0) {
        throw new Error(`Connections were left open; their last queries: ${leaked.join(' | ')}`)
      }
    },
  }
}

/** A migrated database that stays until somebody drops it. */
export async function cloneDatabase(): Promise<ClonedDatabase> {
  const serverUrl = process.env[urlVariable]
  const template = process.env[templateVariable]
  if (!serverUrl || !template) {
    throw new Error('There is no Postgres in test/unit; put the test into test/integration.')
  }
  const name = `weir_test_${randomBytes(6).toString('hex')}`
  await administer(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`)
  return { serverUrl, name, url: databaseUrl(serverUrl, name) }
}

export async function dropDatabase({ serverUrl, name }: ClonedDatabase): Promise<void> {
  await administer(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
}

/** `serverUrl` with another database name. */
export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  await withClient(serverUrl, (client) => client.query(statement))
}

/** The last queries of connections still open after a grace: a backend ends after its client. */
async function openConnections(serverUrl: string, name: string): Promise<string[]> {
  return await withClient(serverUrl, async (client) => {
    let queries: string[] = []
    const isClosed = async (): Promise<boolean> => {
      const { rows } = await client.query<{ query: string }>(
        `SELECT left(query, 80) AS query FROM pg_stat_activity
         WHERE datname = $1 AND backend_type = 'client backend'`,
        [name],
      )
      queries = rows.map((row) => row.query)
      return queries.length === 0
    }
    await waitFor('connections to end', isClosed, 2_000).catch(() => undefined)
    return queries
  })
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
