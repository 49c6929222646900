import type pg from 'pg'
import type {
  CheckpointMove,
  ColumnKind,
  Generation,
  ReadModelSnapshot,
  Row,
  Table,
  TableChange,
} from '../../domain/ports/read-model-store.ts'
import { CheckpointMoved, ReadModelStore } from '../../domain/ports/read-model-store.ts'
import { inTransaction } from './transaction.ts'

/** Read models in tables: whole pages, one statement per table, one transaction per page. */
export class PostgresReadModelStore extends ReadModelStore {
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
  }

  override checkpoint(name: string, version: number, generation: Generation) {
    return checkpointIn(this.#pool, [name, version, generation])
  }

  override async snapshot<T>(read: (snapshot: ReadModelSnapshot) => Promise<T>): Promise<T> {
    return inTransaction(this.#pool, async (client) => {
      await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
      // Who compares two tables may think for long between two pages.
      await client.query('SET LOCAL idle_in_transaction_session_timeout = 0')
      return read({
        checkpoint: (name, version) => checkpointIn(client, [name, version, 'live']),
        scan: async (table, after, limit) => {
          const { rows } = await client.query<Row>(scanStatement(table), [after, limit])
          return rows
        },
      })
    })
  }

  override async load(table: Table, keys: readonly string[], generation: Generation) {
    const { rows } = await this.#pool.query<Row>({
      name: `load-${nameOf(table, generation)}`,
      text: loadStatement(table, generation),
      values: [keys],
    })
    return rows
  }

  override async commit(
    moves: readonly CheckpointMove[],
    changes: readonly TableChange[],
    generation: Generation,
  ): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await moveCheckpoints(client, moves, generation)
      for (const { table, put, remove } of changes) {
        if (put.length > 0) await client.query(putStatement(table, put, generation))
        if (remove.length > 0) await client.query(removeStatement(table, remove, generation))
      }
    })
  }

  override async beginRebuild(name: string, tables: readonly Table[]) {
    await inTransaction(this.#pool, async (client) => {
      for (const table of tables) {
        const next = nameOf(table, 'next')
        await client.query(`DROP TABLE IF EXISTS ${next}`)
        const settings = await storageSettings(client, table.name)
        await client.query(`CREATE TABLE ${next} (LIKE ${table.name} INCLUDING ALL) ${settings}`)
      }
      await client.query(forgetNextStatement, [name])
    })
  }

  override async swap(name: string, version: number, tables: readonly Table[]): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      const { rowCount } = await client.query(swapCheckpointStatement, [name, version])
      if (rowCount === 0) return false
      for (const table of tables) {
        await client.query(`DROP TABLE ${table.name}`)
        await client.query(`ALTER TABLE ${nameOf(table, 'next')} RENAME TO ${table.name}`)
      }
      await client.query(forgetNextStatement, [name])
      return true
    })
  }
}

async function checkpointIn(
  client: pg.Pool | pg.PoolClient,
  values: readonly [name: string, version: number, generation: Generation],
): Promise<string | null> {
  const { rows } = await client.query<{ position: string }>({
    name: 'checkpoint',
    text: `SELECT position FROM projection_checkpoint
      WHERE name = $1 AND version = $2 AND generation = $3`,
    values: [...values],
  })
  return rows[0]?.position ?? null
}

const forgetNextStatement = `
  DELETE FROM projection_checkpoint WHERE name = $1 AND generation = 'next'`

// $1 name, $2 version. The row of the live checkpoint stays locked, so that no page of it is
// committed until the tables have changed places.
const swapCheckpointStatement = `
  INSERT INTO projection_checkpoint AS live (name, version, generation, position, updated_at)
  SELECT name, version, 'live', position, now() FROM projection_checkpoint
  WHERE name = $1 AND version = $2 AND generation = 'next'
  ON CONFLICT (name, generation) DO UPDATE
    SET version = excluded.version, position = excluded.position, updated_at = now()
    WHERE live.position = excluded.position OR live.version <> excluded.version`

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

// $1 names, $2 versions, $3 from, $4 to, $5 generation. Rows are locked in the order of their
// names, so that two processes cannot wait for each other.
const moveStatement = `
  WITH move AS (
    SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[])
      AS m (name, version, "from", "to")
  ), locked AS MATERIALIZED (
    SELECT c.name FROM projection_checkpoint c JOIN move m USING (name)
    WHERE c.generation = $5 ORDER BY c.name FOR UPDATE OF c
  ), moved AS (
    UPDATE projection_checkpoint c SET position = m."to", updated_at = now()
    FROM move m JOIN locked USING (name)
    WHERE c.name = m.name AND c.generation = $5
      AND c.version = m.version AND c.position = m."from"
    RETURNING c.name
  ), started AS (
    INSERT INTO projection_checkpoint (name, version, generation, position)
    SELECT name, version, $5, "to" FROM move WHERE "from" IS NULL ORDER BY name
    ON CONFLICT DO NOTHING
    RETURNING name
  )
  SELECT name FROM moved UNION ALL SELECT name FROM started`

/** Moves each checkpoint that still stands where it was read; none moves unless all do. */
async function moveCheckpoints(
  client: pg.PoolClient,
  moves: readonly CheckpointMove[],
  generation: Generation,
): Promise<void> {
  const { rowCount } = await client.query({
    name: 'move-checkpoints',
    text: moveStatement,
    values: [
      moves.map((move) => move.name),
      moves.map((move) => move.version),
      moves.map((move) => move.from),
      moves.map((move) => move.to),
      generation,
    ],
  })
  if (rowCount !== moves.length) throw new CheckpointMoved('another process moved a checkpoint')
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

function putStatement(table: Table, rows: readonly Row[], generation: Generation) {
  const columns = columnsOf(table)
  const names = columns.map(([column]) => snake(column))
  const sources = columns.map(([, kind], index) => `$${index + 1}::${columnTypes[kind]}[]`)
  const key = snake(table.key)
  const updates = names.filter((name) => name !== key).map((name) => `${name} = excluded.${name}`)
  const onConflict = table.appendOnly ? 'DO NOTHING' : `DO UPDATE SET ${updates.join(', ')}`
  return {
    name: `put-${nameOf(table, generation)}`,
    text: `INSERT INTO ${nameOf(table, generation)} (${names.join(', ')})
      SELECT * FROM unnest(${sources.join(', ')})
      ON CONFLICT (${key}) ${onConflict}`,
    values: columns.map(([column, kind]) => rows.map((row) => stored(row[column], kind))),
  }
}

function stored(value: Row[string] | undefined, kind: ColumnKind): unknown {
  if (value === undefined || value === null) return null
  return kind === 'json' ? JSON.stringify(value) : value
}

function removeStatement(table: Table, keys: readonly string[], generation: Generation) {
  return {
    name: `remove-${nameOf(table, generation)}`,
    text: `DELETE FROM ${nameOf(table, generation)} WHERE ${snake(table.key)} = ANY ($1)`,
    values: [keys],
  }
}
