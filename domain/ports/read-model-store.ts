import type { Json } from '../json.ts'

/** What a column holds. `numeric` is an integer of any size as a string; `time` is ISO 8601. */
export type ColumnKind = 'text' | 'int' | 'numeric' | 'time' | 'json' | 'bool'

export type Row = { readonly [column: string]: Json }

/** A table of a read model. Columns are named as in the rows; adapters may spell them their way. */
export type Table<R extends Row = Row> = {
  readonly name: string
  readonly key: keyof R & string
  readonly columns: { readonly [Column in keyof R & string]: ColumnKind }
  /** Rows are only ever added: they need not be read before they are written. */
  readonly appendOnly: boolean
}

/** The key of a row: always a text. */
export function keyOf(table: Table, row: Row): string {
  const key = row[table.key]
  if (typeof key !== 'string') throw new Error(`a row of ${table.name} has no key`)
  return key
}

/** Rows of one table to write and keys to delete, in one set. */
export type TableChange = {
  readonly table: Table
  readonly put: readonly Row[]
  readonly remove: readonly string[]
}

/** Moves a checkpoint, only when it still stands at `from`. */
export type CheckpointMove = {
  readonly name: string
  readonly version: number
  /** Of a share of the log that is carried by itself; absent when it is carried as a whole. */
  readonly share?: string
  /** Null when the read model has no checkpoint yet. */
  readonly from: string | null
  readonly to: string
}

/** Where a read model stands, by shares of the log; what was carried as a whole is under `''`. */
export type Stands = ReadonlyMap<string, string>

/** `next` is a read model that is being built beside the live one. */
export type Generation = 'live' | 'next'

/** A read model that was built anew, to be put in its place. */
export type Swap = {
  readonly name: string
  readonly version: number
  readonly tables: readonly Table[]
  /** Negative when the first position lies before the second. */
  readonly compare: (a: string, b: string) => number
}

/** Live read models as they all were at one moment, whatever is written meanwhile. */
export type ReadModelSnapshot = {
  readonly stands: (name: string, version: number) => Promise<Stands>

  /** Up to `limit` rows in the byte order of their keys, from the first beyond `after` on. */
  readonly scan: (table: Table, after: string | null, limit: number) => Promise<readonly Row[]>
}

/** Somebody else moved the checkpoint: what was computed is void. */
export class CheckpointMoved extends Error {
  override readonly name = 'CheckpointMoved'
}

/** Where read models live. Rows and checkpoints change in one transaction, a page at a time. */
export abstract class ReadModelStore {
  /**
   * Where the read model of that version stands; null when it was never started. A share that was
   * not carried by itself yet stands where the whole does.
   */
  abstract checkpoint(
    name: string,
    version: number,
    generation: Generation,
    share?: string,
  ): Promise<string | null>

  /** Where the live read model of that version stands. */
  abstract stands(name: string, version: number): Promise<Stands>

  /**
   * The rows with these keys, in any order.
   *
   * @throws CheckpointMoved when the `next` tables are gone, as they are after a migration
   */
  abstract load(
    table: Table,
    keys: readonly string[],
    generation: Generation,
  ): Promise<readonly Row[]>

  /** @throws CheckpointMoved when another process was faster; nothing is written then */
  abstract commit(
    moves: readonly CheckpointMove[],
    changes: readonly TableChange[],
    generation: Generation,
  ): Promise<void>

  /** Shows `read` the live read models as they are now; the moment ends with its promise. */
  abstract snapshot<T>(read: (snapshot: ReadModelSnapshot) => Promise<T>): Promise<T>

  /** Makes empty `next` tables, dropping what an earlier rebuild left. */
  abstract beginRebuild(name: string, tables: readonly Table[]): Promise<void>

  /**
   * Puts the `next` tables of that version in the place of the live ones, unless a share of the
   * live ones stands beyond them: then false, catch up and try again. Live ones of another version
   * do not count. Afterwards every share stands where the `next` ones stood.
   */
  abstract swap(swap: Swap): Promise<boolean>
}
