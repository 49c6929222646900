import type pg from 'pg'
import type {
  CheckpointMove,
  ColumnKind,
  Generation,
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

  override async checkpoint(name: string, version: number, generation: Generation) {
    const { rows } = await this.#pool.query<{ position: string }>({
      name: 'checkpoint',
      text: `SELECT position FROM projection_checkpoint
        WHERE name = $1 AND version = $2 AND generation = $3`,
      values: [name, version, generation],
    })
    return rows[0]?.position ?? null
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
        await client.query(`CREATE TABLE ${next} (LIKE ${table.name} INCLUDING ALL)`)
      }
      await client.query(
        `DELETE FROM projection_checkpoint WHERE name = $1 AND generation = 'next'`,
        [name],
      )
    })
  }

  override async swap(name: string, version: number, tables: readonly Table[]): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<{ generation: string; position: string }>(
        `SELECT generation, position FROM projection_checkpoint
         WHERE name = $1 ORDER BY generation FOR UPDATE`,
        [name],
      )
      const at = (generation: Generation) =>
        rows.find((row) => row.generation === generation)?.position
      if (at('next') === undefined || at('next') !== at('live')) return false
      for (const table of tables) {
        await client.query(`DROP TABLE ${table.name}`)
        await client.query(`ALTER TABLE ${nameOf(table, 'next')} RENAME TO ${table.name}`)
      }
      await client.query(
        `DELETE FROM projection_checkpoint WHERE name = $1 AND generation = 'next'`,
        [name],
      )
      await client.query(
        `UPDATE projection_checkpoint SET version = $2 WHERE name = $1 AND generation = 'live'`,
        [name, version],
      )
      return true
    })
  }
}

/** The table of a generation. */
function nameOf(table: Table, generation: Generation): string {
  return generation === 'live' ? table.name : `${table.name}__next`
}

/** Moves each checkpoint that still stands where it was read; none moves unless all do. */
async function moveCheckpoints(
  client: pg.PoolClient,
  moves: readonly CheckpointMove[],
  generation: Generation,
): Promise<void> {
  const { rowCount } = await client.query({
    name: 'move-checkpoints',
    text: `
      INSERT INTO projection_checkpoint AS c (name, version, generation, position, updated_at)
      SELECT m.name, m.version, $5, m."to", now()
      FROM unnest($1::text[], $2::int[], $3::text[], $4::text[])
        AS m (name, version, "from", "to")
      ORDER BY m.name
      ON CONFLICT (name, generation) DO UPDATE
        SET position = excluded.position, version = excluded.version, updated_at = now()
        WHERE c.position = (
          SELECT x."from" FROM unnest($1::text[], $3::text[]) AS x (name, "from")
          WHERE x.name = c.name)`,
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
  const value = kind === 'time' ? `to_char(${snake(column)} AT TIME ZONE 'UTC', ${isoFormat})` : null
  return `${value ?? snake(column)} AS "${column}"`
}

function loadStatement(table: Table, generation: Generation): string {
  const list = columnsOf(table).map(selected).join(', ')
  const key = snake(table.key)
  return `SELECT ${list} FROM ${nameOf(table, generation)} WHERE ${key} = ANY ($1)`
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
