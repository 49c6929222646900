import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../infra/embedded-postgres/embedded-postgres.ts'
import { onCleanup } from './cleanup.ts'
import { text } from './json.ts'
import { plainEnvironment } from './processes.ts'
import type { Running } from './processes.ts'

export interface PostgresServer {
  readonly url: string
  readonly server: Running
}

/**
 * A fresh server with its data below `folder`: for every stack the one that weir embeds, with the
 * same settings, so that no stack is measured on a better database than another.
 */
export async function startPostgres(folder: string): Promise<PostgresServer> {
  const embedded = await startEmbeddedPostgres({ home: join(folder, 'database') })
  onCleanup('postgres', () => embedded.stop())
  const died = embedded.exited.then(() => {
    throw new Error('postgres ended by itself')
  })
  died.catch(() => undefined)
  return { url: embedded.url, server: { pid: embedded.pid, died } }
}

/** Brings a database up to the schema of weir, as built in this repository. */
export function migrate(url: string, home: string): void {
  const cli = resolve(import.meta.dirname, '..', '..', 'src', 'cli.js')
  const env = { ...plainEnvironment(), DATABASE_URL: url, WEIR_HOME: home }
  execFileSync(process.execPath, [cli, 'migrate'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

/** One query on a connection of its own; `sql` may be several statements. */
export async function query(url: string, sql: string, values?: unknown[]): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const result: { rows?: unknown[] } = await client.query(sql, values)
    return result.rows ?? []
  } finally {
    await client.end()
  }
}

/** What the server has written so far, all databases together. */
export interface PostgresWork {
  /** Transactions that wrote; each takes the next transaction id, so the count is exact. */
  readonly writes: number
  readonly walBytes: number
}

export async function postgresWork(url: string): Promise<PostgresWork> {
  const [row] = await query(
    url,
    `SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS writes,
       (pg_current_wal_insert_lsn() - '0/0')::text AS wal`,
  )
  return { writes: Number(text(row, 'writes')), walBytes: Number(text(row, 'wal')) }
}
