import type {
  CheckpointMove,
  Generation,
  ReadModelSnapshot,
  Row,
  Table,
  TableChange,
} from '../../domain/ports/read-model-store.ts'
import { CheckpointMoved, keyOf, ReadModelStore } from '../../domain/ports/read-model-store.ts'

type Stand = { readonly version: number; readonly position: string }

/** Read models in maps, for tests and the simulator. */
export class MemoryReadModelStore extends ReadModelStore {
  readonly #checkpoints = new Map<string, Stand>()
  readonly #tables = new Map<string, Map<string, Row>>()

  override async checkpoint(name: string, version: number, generation: Generation) {
    const stand = this.#checkpoints.get(`${generation}:${name}`)
    return stand && stand.version === version ? stand.position : null
  }

  override async load(table: Table, keys: readonly string[], generation: Generation) {
    const rows = this.#rows(table, generation)
    return keys.map((key) => rows.get(key)).filter((row) => row !== undefined)
  }

  override async commit(
    moves: readonly CheckpointMove[],
    changes: readonly TableChange[],
    generation: Generation,
  ): Promise<void> {
    for (const { name, version, from } of moves) {
      const stand = this.#checkpoints.get(`${generation}:${name}`)
      const isThere = from === (stand?.position ?? null) && version === (stand?.version ?? version)
      if (!isThere) throw new CheckpointMoved(`${name} moved`)
    }
    for (const { name, version, to } of moves) {
      this.#checkpoints.set(`${generation}:${name}`, { version, position: to })
    }
    for (const { table, put, remove } of changes) {
      const rows = this.#rows(table, generation)
      for (const row of put) {
        const key = keyOf(table, row)
        if (!(table.appendOnly && rows.has(key))) rows.set(key, row)
      }
      for (const key of remove) rows.delete(key)
    }
  }

  override async snapshot<T>(read: (snapshot: ReadModelSnapshot) => Promise<T>): Promise<T> {
    const checkpoints = new Map(this.#checkpoints)
    const tables = new Map<string, readonly (readonly [Buffer, Row])[]>()
    for (const [name, rows] of this.#tables) {
      const sorted = [...rows].map(([key, row]) => [Buffer.from(key), row] as const)
      tables.set(
        name,
        sorted.sort(([a], [b]) => Buffer.compare(a, b)),
      )
    }
    return await read({
      checkpoint: async (name, version) => {
        const stand = checkpoints.get(`live:${name}`)
        return stand?.version === version ? stand.position : null
      },
      scan: async (table, after, limit) => {
        const rows = tables.get(`live:${table.name}`) ?? []
        const from = after === null ? 0 : firstBeyond(rows, Buffer.from(after))
        return rows.slice(from, from + limit).map(([, row]) => row)
      },
    })
  }

  override async beginRebuild(name: string, tables: readonly Table[]) {
    this.#checkpoints.delete(`next:${name}`)
    for (const table of tables) this.#tables.delete(`next:${table.name}`)
  }

  override async swap(name: string, version: number, tables: readonly Table[]): Promise<boolean> {
    const next = this.#checkpoints.get(`next:${name}`)
    const live = this.#checkpoints.get(`live:${name}`)
    if (next?.version !== version) return false
    if (live?.version === version && live.position !== next.position) return false
    for (const table of tables) {
      this.#tables.set(`live:${table.name}`, this.#rows(table, 'next'))
      this.#tables.delete(`next:${table.name}`)
    }
    this.#checkpoints.set(`live:${name}`, { version, position: next.position })
    this.#checkpoints.delete(`next:${name}`)
    return true
  }

  /** Every row of a live table, for assertions. */
  all(table: Table): readonly Row[] {
    return [...this.#rows(table, 'live').values()]
  }

  #rows(table: Table, generation: Generation): Map<string, Row> {
    const name = `${generation}:${table.name}`
    const rows = this.#tables.get(name) ?? new Map<string, Row>()
    this.#tables.set(name, rows)
    return rows
  }
}

/** The index of the first row whose key lies beyond; the rows are sorted. */
function firstBeyond(rows: readonly (readonly [Buffer, Row])[], key: Buffer): number {
  let [from, to] = [0, rows.length]
  while (from < to) {
    const middle = (from + to) >> 1
    const there = rows[middle]?.[0]
    if (there && Buffer.compare(there, key) > 0) to = middle
    else from = middle + 1
  }
  return from
}
