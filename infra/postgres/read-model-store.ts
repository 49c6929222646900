import pg from 'pg'
import type {
  CheckpointMove,
  ColumnKind,
  Generation,
  ReadModelSnapshot,
  Row,
  Stands,
  Swap,
  Table,
  TableChange,
} from '../../domain/ports/read-model-store.ts'
import { CheckpointMoved, ReadModelStore } from '../../domain/ports/read-model-store.ts'
import { textArray } from './binary-array.ts'
import { migrationLockKey } from './migrate.ts'
import { inOneTrip, inTransaction } from './transaction.ts'

/** Read models in tables: whole pages, one statement per table, one transaction per page. */
export class PostgresReadModelStore extends ReadModelStore {
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
  }

  override async checkpoint(name: string, version: number, generation: Generation, share?: string) {
    const { rows } = await this.#pool.query<{ position: string }>({
      name: 'checkpoint',
      // The row of a share has the longer name, and counts before that of the whole.
      text: `SELECT position FROM projection_checkpoint
        WHERE name IN ($1, $4) AND version = $2 AND generation = $3
        ORDER BY length(name) DESC LIMIT 1`,
      values: [name, version, generation, rowName(name, share)],
    })
    return rows[0]?.position ?? null
  }

  override stands(name: string, version: number): Promise<Stands> {
    return standsIn(this.#pool, name, version)
  }

  override async snapshot<T>(read: (snapshot: ReadModelSnapshot) => Promise<T>): Promise<T> {
    return inTransaction(this.#pool, async (client) => {
      await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
      // Who compares two tables may think for long between two pages.
      await client.query('SET LOCAL idle_in_transaction_session_timeout = 0')
      return read({
        stands: (name, version) => standsIn(client, name, version),
        scan: async (table, after, limit) => {
          const { rows } = await client.query<Row>(scanStatement(table), [after, limit])
          return rows
        },
      })
    })
  }

  override async load(table: Table, keys: readonly string[], generation: Generation) {
    const name = `load-${nameOf(table, generation)}`
    const text = textOnce(name, () => loadStatement(table, generation))
    try {
      const { rows } = await this.#pool.query<Row>({ name, text, values: [keys] })
      return rows
    } catch (error) {
      throw translated(error, generation)
    }
  }

  override async commit(
    moves: readonly CheckpointMove[],
    changes: readonly TableChange[],
    generation: Generation,
  ): Promise<void> {
    const statements: pg.QueryConfig[] = [moveStatement(moves, generation)]
    for (const { table, put, remove } of changes) {
      if (put.length > 0) statements.push(putStatement(table, put, generation))
      if (remove.length > 0) statements.push(removeStatement(table, remove, generation))
    }
    try {
      await inOneTrip(this.#pool, statements)
    } catch (error) {
      throw translated(error, generation)
    }
  }

  override async beginRebuild(name: string, tables: readonly Table[]) {
    await inTransaction(this.#pool, async (client) => {
      await client.query(`SELECT pg_advisory_xact_lock_shared(${migrationLockKey}::bigint)`)
      for (const table of tables) {
        const next = nameOf(table, 'next')
        await client.query(`DROP TABLE IF EXISTS ${next}`)
        const settings = await storageSettings(client, table.name)
        await client.query(`CREATE TABLE ${next} (LIKE ${table.name} INCLUDING ALL) ${settings}`)
      }
      await client.query(forgetNextStatement, [name])
    })
  }

  override async swap({ name, version, tables, compare }: Swap): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<CheckpointRow>(lockCheckpointsStatement, [name])
      const next = rows.find((row) => row.generation === 'next' && row.version === version)
      if (!next) return false
      const live = rows.filter((row) => row.generation === 'live' && row.version === version)
      if (live.some(({ position }) => compare(position, next.position) > 0)) return false
      await client.query(forgetCheckpointsStatement, [name])
      await client.query(startCheckpointStatement, [name, version, next.position])
      for (const table of tables) {
        await client.query(`DROP TABLE ${table.name}`)
        await client.query(`ALTER TABLE ${nameOf(table, 'next')} RENAME TO ${table.name}`)
      }
      return true
    })
  }
}

/** The checkpoint of a share is kept in a row of its own. */
function rowName(name: string, share?: string): string {
  return share === undefined ? name : `${name}/${share}`
}

async function standsIn(
  client: pg.Pool | pg.PoolClient,
  name: string,
  version: number,
): Promise<Stands> {
  const { rows } = await client.query<{ name: string; position: string }>({
    name: 'stands',
    text: `SELECT name, position FROM projection_checkpoint
      WHERE (name = $1 OR starts_with(name, $1 || '/')) AND version = $2 AND generation = 'live'`,
    values: [name, version],
  })
  return new Map(rows.map((row) => [row.name.slice(name.length + 1), row.position]))
}

type CheckpointRow = {
  readonly generation: Generation
  readonly version: number
  readonly position: string
}

const forgetNextStatement = `
  DELETE FROM projection_checkpoint WHERE name = $1 AND generation = 'next'`

// No page of the live read model is committed until the tables have changed places.
const lockCheckpointsStatement = `
  SELECT generation, version, position FROM projection_checkpoint
  WHERE name = $1 OR starts_with(name, $1 || '/') ORDER BY name, generation FOR UPDATE`

const forgetCheckpointsStatement = `
  DELETE FROM projection_checkpoint
  WHERE starts_with(name, $1 || '/') OR name = $1 AND generation = 'next'`

const startCheckpointStatement = `
  INSERT INTO projection_checkpoint AS live (name, version, generation, position)
  VALUES ($1, $2, 'live', $3)
  ON CONFLICT (name, generation) DO UPDATE
    SET version = excluded.version, position = excluded.position, updated_at = now()`

/** The table of a generation. */
function nameOf(table: Table, generation: Generation): string {
  return generation === 'live' ? table.name : `${table.name}__next`
}

/** `WITH (fillfactor = …)` as the table has it, which LIKE does not take over. */
async function storageSettings(client: pg.PoolClient, table: string): Promise<string> {
  const { rows } = await client.query<{ reloptions: string[] | null }>(
    'SELECT reloptions FROM pg_class WHERE oid = $1::regclass',
    [table],
  )
  const settings = rows[0]?.reloptions ?? []
  return settings.length > 0 ? `WITH (${settings.join(', ')})` : ''
}

/** Moves each checkpoint that still stands where it was read; fails unless all of them moved. */
function moveStatement(moves: readonly CheckpointMove[], generation: Generation) {
  return {
    name: 'move-checkpoints',
    text: 'SELECT move_checkpoints($1, $2, $3, $4, $5, $6)',
    values: [
      moves.map((move) => rowName(move.name, move.share)),
      moves.map((move) => move.name),
      moves.map((move) => move.version),
      moves.map((move) => move.from),
      moves.map((move) => move.to),
      generation,
    ],
  }
}

/** What migration 0009 raises. */
const checkpointMoved = 'WE001'
/** What Postgres says of a `next` table that a migration has dropped. */
const undefinedTable = '42P01'

function translated(error: unknown, generation: Generation): unknown {
  if (!(error instanceof pg.DatabaseError)) return error
  const isDropped = generation === 'next' && error.code === undefinedTable
  return isDropped || error.code === checkpointMoved ? new CheckpointMoved(error.message) : error
}

const columnTypes: Record<ColumnKind, string> = {
  text: 'text',
  int: 'int',
  numeric: 'numeric',
  time: 'timestamptz',
  json: 'json',
  bool: 'bool',
}

const snake = (column: string): string =>
  column.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const columnsOf = (table: Table): readonly (readonly [string, ColumnKind])[] =>
  Object.entries(table.columns)

/** Times leave Postgres as ISO 8601 with milliseconds, as they came. */
function selected([column, kind]: readonly [string, ColumnKind]): string {
  const isoFormat = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`
  const value =
    kind === 'time' ? `to_char(${snake(column)} AT TIME ZONE 'UTC', ${isoFormat})` : null
  return `${value ?? snake(column)} AS "${column}"`
}

function loadStatement(table: Table, generation: Generation): string {
  const list = columnsOf(table).map(selected).join(', ')
  const key = snake(table.key)
  return `SELECT ${list} FROM ${nameOf(table, generation)} WHERE ${key} = ANY ($1)`
}

// $1 after, $2 limit
function scanStatement(table: Table): string {
  const list = columnsOf(table).map(selected).join(', ')
  const key = `${snake(table.key)} COLLATE "C"`
  return `SELECT ${list} FROM ${table.name}
    WHERE $1::text IS NULL OR ${key} > $1 ORDER BY ${key} LIMIT $2`
}

/** Texts of statements are made once per table and generation. */
const texts = new Map<string, string>()

function textOnce(name: string, make: () => string): string {
  const known = texts.get(name) ?? make()
  texts.set(name, known)
  return known
}

function putStatement(table: Table, rows: readonly Row[], generation: Generation) {
  const name = `put-${nameOf(table, generation)}`
  return {
    name,
    text: textOnce(name, () => putText(table, generation)),
    values: columnsOf(table).map(([column, kind]) =>
      textArray(rows.map((row) => storedText(row[column], kind))),
    ),
  }
}

function putText(table: Table, generation: Generation): string {
  const columns = columnsOf(table)
  const names = columns.map(([column]) => snake(column))
  const sources = columns.map(([, kind], index) => {
    const array = `$${index + 1}::text[]`
    return kind === 'text' ? array : `${array}::${columnTypes[kind]}[]`
  })
  const key = snake(table.key)
  const updates = names.filter((name) => name !== key).map((name) => `${name} = excluded.${name}`)
  const onConflict = table.appendOnly ? 'DO NOTHING' : `DO UPDATE SET ${updates.join(', ')}`
  // In the list and not behind FROM, where each array would fill a store of its own before the
  // first row is written: of some thirty columns that is a quarter of the statement.
  const values = sources.map((source) => `unnest(${source})`)
  return `INSERT INTO ${nameOf(table, generation)} (${names.join(', ')})
    SELECT ${values.join(', ')}
    ON CONFLICT (${key}) ${onConflict}`
}

function storedText(value: Row[string] | undefined, kind: ColumnKind): string | null {
  if (value === undefined || value === null) return null
  return kind === 'json' || typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function removeStatement(table: Table, keys: readonly string[], generation: Generation) {
  return {
    name: `remove-${nameOf(table, generation)}`,
    text: `DELETE FROM ${nameOf(table, generation)} WHERE ${snake(table.key)} = ANY ($1)`,
    values: [keys],
  }
}
