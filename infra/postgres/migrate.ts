import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { connectionConfig } from './pool.ts'

type Migration = {
  readonly number: number
  readonly name: string
  readonly sql: string
  readonly sha256: string
}

const folder = fileURLToPath(new URL('./migrations/', import.meta.url))

/**
 * The sha256 of a migration as it once was, and of what it was rewritten to with the same effect:
 * 0010, in whose first form move_checkpoints did by itself what it now asks another function for.
 */
const rewritten: ReadonlyMap<string, string> = new Map([
  [
    'bc39eae02b4a2075c1bc585fbf0e8a5a7871a82b4535aa24efa3d5c4dbd43e92',
    '60d89ce5204b209da076cae818262d259a4c001c989ce72d70c7bcdcfe74b427',
  ],
])

/**
 * Held while migrating, so that processes that start together migrate one after the other, and by
 * rebuilds while they copy what a table looks like.
 */
export const migrationLockKey = (0x4dn << 56n).toString()

/**
 * Brings the schema `weir` up to date: applies the files `migrations/NNNN-name.sql` that were not
 * applied yet, in order of their numbers, each in a transaction of its own. A rebuild that is under
 * way ends then: its tables do not look as they must from now on.
 *
 * @throws Error when a file that was applied has changed since, or its number is used twice
 */
export async function migrate(databaseUrl: string): Promise<void> {
  const migrations = await readMigrations()
  const client = new pg.Client(connectionConfig(databaseUrl, 'weir-migrate'))
  client.on('error', () => undefined)
  await client.connect()
  try {
    // Building an index on a big table may take longer than any statement of the running system.
    await client.query('SET statement_timeout = 0')
    await client.query(`SELECT pg_advisory_lock(${migrationLockKey}::bigint)`)
    await createRegister(client)
    await applyAll(client, migrations)
  } finally {
    await client.end()
  }
}

/** Names of migrations: those that the database has, and those that it still needs. */
export type MigrationState = {
  readonly applied: readonly string[]
  readonly missing: readonly string[]
  /** Applied by a newer weir: this one does not know them. */
  readonly unknown: readonly string[]
}

/** Compares the database with the migrations that this weir brings. Changes nothing. */
export async function migrationState(databaseUrl: string): Promise<MigrationState> {
  const known = (await readMigrations()).map(({ name }) => name)
  const client = new pg.Client(connectionConfig(databaseUrl, 'weir-migrate'))
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows: register } = await client.query<{ found: boolean }>(
      `SELECT to_regclass('weir.migration') IS NOT NULL AS found`,
    )
    if (register[0]?.found !== true) return { applied: [], missing: known, unknown: [] }
    const { rows } = await client.query<{ name: string }>(
      'SELECT name FROM weir.migration ORDER BY number',
    )
    const applied = rows.map(({ name }) => name)
    return {
      applied,
      missing: known.filter((name) => !applied.includes(name)),
      unknown: applied.filter((name) => !known.includes(name)),
    }
  } finally {
    await client.end()
  }
}

async function readMigrations(): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()
  const migrations = await Promise.all(files.map(readMigration))
  const twice = migrations.find((one, at) => migrations[at + 1]?.number === one.number)
  if (twice) throw new Error(`two migrations have the number of ${twice.name}`)
  return migrations
}

async function readMigration(file: string): Promise<Migration> {
  const digits = /^(\d{4})-[a-z0-9-]+\.sql$/.exec(file)?.[1]
  if (digits === undefined) throw new Error(`${file} is not named NNNN-name.sql`)
  const sql = await readFile(folder + file, 'utf8')
  const sha256 = createHash('sha256').update(sql).digest('hex')
  return { number: Number(digits), name: file, sql, sha256 }
}

async function createRegister(client: pg.Client): Promise<void> {
  await client.query(`
    CREATE SCHEMA IF NOT EXISTS weir;
    CREATE TABLE IF NOT EXISTS weir.migration (
      number integer PRIMARY KEY,
      name text NOT NULL,
      sha256 text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`)
}

async function applyAll(client: pg.Client, migrations: readonly Migration[]): Promise<void> {
  const { rows } = await client.query<{ number: number; sha256: string }>(
    'SELECT number, sha256 FROM weir.migration',
  )
  const applied = new Map(rows.map((row) => [row.number, row.sha256]))
  for (const migration of migrations) {
    const sha256 = applied.get(migration.number)
    if (sha256 === undefined) await apply(client, migration)
    else if ((rewritten.get(sha256) ?? sha256) !== migration.sha256) {
      throw new Error(`${migration.name} was changed after it had been applied; add a new one`)
    }
  }
}

// The tables that rebuilds fill, and where they stand.
const dropRebuildsStatement = `DO $$
  DECLARE
    rebuilt text;
  BEGIN
    FOR rebuilt IN
      SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
      WHERE schemaname = 'weir' AND tablename LIKE '%\\_\\_next'
    LOOP
      EXECUTE 'DROP TABLE ' || rebuilt;
    END LOOP;
    IF to_regclass('weir.projection_checkpoint') IS NOT NULL THEN
      DELETE FROM weir.projection_checkpoint WHERE generation = 'next';
    END IF;
  END
$$`

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(migration.sql)
    await client.query(dropRebuildsStatement)
    await client.query('INSERT INTO weir.migration (number, name, sha256) VALUES ($1, $2, $3)', [
      migration.number,
      migration.name,
      migration.sha256,
    ])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw new Error(`${migration.name}: ${String(error)}`, { cause: error })
  }
}
