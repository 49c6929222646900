import { keyOf, ReadModelStore } from '../domain/ports/read-model-store.ts'
import type {
  CheckpointMove,
  Generation,
  ReadModelSnapshot,
  Row,
  Stands,
  Swap,
  Table,
  TableChange,
} from '../domain/ports/read-model-store.ts'

/** Rows kept per table; the oldest go first. A row is some hundred bytes, seldom 20 KB. */
const rowsMax = 5_000

/**
 * Keeps the rows that were written last, for the one projector that writes them: most events touch
 * a row that an event just before them has touched. Another writer would move the checkpoint: that
 * is seen by a commit that fails, or by who reads the checkpoint again, and both empty the cache.
 *
 * Rows are kept from the moment that their commit begins, so the next page may be applied while
 * one is written. Nothing of it may be committed before that has succeeded. When it fails, nothing
 * more is loaded until the checkpoint is read again: rows of before do not fit to later events.
 */
export class CachedRows extends ReadModelStore {
  readonly #store: ReadModelStore
  /** Null for a key that has no row. */
  readonly #tables = new Map<string, Map<string, Row | null>>()
  #writing: Promise<void> = Promise.resolve()

  constructor(store: ReadModelStore) {
    super()
    this.#store = store
  }

  /** Whoever asks where it stands begins anew: rows from before may be behind that place. */
  override checkpoint(name: string, version: number, generation: Generation, share?: string) {
    this.#tables.clear()
    this.#writing = Promise.resolve()
    return this.#store.checkpoint(name, version, generation, share)
  }

  override stands(name: string, version: number): Promise<Stands> {
    return this.#store.stands(name, version)
  }

  override snapshot<T>(read: (snapshot: ReadModelSnapshot) => Promise<T>): Promise<T> {
    return this.#store.snapshot(read)
  }

  /** @throws whatever kept the page before from being written */
  override async load(table: Table, keys: readonly string[], generation: Generation) {
    const rows = this.#rowsOf(table, generation)
    const known: Row[] = []
    const missing: string[] = []
    for (const key of keys) {
      const row = rows.get(key)
      if (row) known.push(row)
      else if (row === undefined) missing.push(key)
    }
    if (missing.length === 0) return known
    // What is being written may have been dropped from memory again.
    await this.#writing
    const loaded = await this.#store.load(table, missing, generation)
    for (const key of missing) this.#keep(table, generation, { key, row: null })
    for (const row of loaded) this.#keep(table, generation, { key: keyOf(table, row), row })
    return [...known, ...loaded]
  }

  override async commit(
    moves: readonly CheckpointMove[],
    changes: readonly TableChange[],
    generation: Generation,
  ): Promise<void> {
    this.#writing = this.#store.commit(moves, changes, generation).catch((error: unknown) => {
      this.#tables.clear()
      throw error
    })
    for (const { table, put, remove } of changes) {
      if (table.appendOnly) continue
      for (const row of put) this.#keep(table, generation, { key: keyOf(table, row), row })
      for (const key of remove) this.#keep(table, generation, { key, row: null })
    }
    await this.#writing
  }

  override beginRebuild(name: string, tables: readonly Table[]): Promise<void> {
    return this.#store.beginRebuild(name, tables)
  }

  override async swap(swap: Swap): Promise<boolean> {
    this.#tables.clear()
    return this.#store.swap(swap)
  }

  #keep(
    table: Table,
    generation: Generation,
    { key, row }: { readonly key: string; readonly row: Row | null },
  ): void {
    const rows = this.#rowsOf(table, generation)
    rows.delete(key)
    rows.set(key, row)
    if (rows.size <= rowsMax) return
    const oldest = rows.keys().next()
    if (!oldest.done) rows.delete(oldest.value)
  }

  #rowsOf(table: Table, generation: Generation): Map<string, Row | null> {
    const name = `${generation}:${table.name}`
    const rows = this.#tables.get(name) ?? new Map<string, Row | null>()
    this.#tables.set(name, rows)
    return rows
  }
}
