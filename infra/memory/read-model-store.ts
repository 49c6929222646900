import type {
  CheckpointMove,
  Generation,
  ReadModelSnapshot,
  Row,
  Stands,
  Swap,
  Table,
  TableChange,
} from '../../domain/ports/read-model-store.ts'
import { CheckpointMoved, keyOf, ReadModelStore } from '../../domain/ports/read-model-store.ts'

type Stand = { readonly version: number; readonly position: string }

/** Read models in maps, for tests and the simulator. */
export class MemoryReadModelStore extends ReadModelStore {
  readonly #checkpoints = new Map<string, Stand>()
  readonly #tables = new Map<string, Map<string, Row>>()

  override async checkpoint(name: string, version: number, generation: Generation, share?: string) {
    const stand = this.#standOf(name, generation, share)
    return stand && stand.version === version ? stand.position : null
  }

  override async stands(name: string, version: number): Promise<Stands> {
    return standsIn(this.#checkpoints, name, version)
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
    for (const { name, version, share, from } of moves) {
      const stand = this.#standOf(name, generation, share)
      const isThere = from === (stand?.position ?? null) && version === (stand?.version ?? version)
      if (!isThere) throw new CheckpointMoved(`${name} moved`)
    }
    for (const { name, version, share, to } of moves) {
      this.#checkpoints.set(keyIn(generation, name, share), { version, position: to })
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
      stands: async (name, version) => standsIn(checkpoints, name, version),
      scan: async (table, after, limit) => {
        const rows = tables.get(`live:${table.name}`) ?? []
        const from = after === null ? 0 : firstBeyond(rows, Buffer.from(after))
        return rows.slice(from, from + limit).map(([, row]) => row)
      },
    })
  }

  override async beginRebuild(name: string, tables: readonly Table[]) {
    this.#checkpoints.delete(keyIn('next', name))
    for (const table of tables) this.#tables.delete(`next:${table.name}`)
  }

  override async swap({ name, version, tables, compare }: Swap): Promise<boolean> {
    const next = this.#checkpoints.get(keyIn('next', name))
    if (next?.version !== version) return false
    const stands = await this.stands(name, version)
    if ([...stands.values()].some((stand) => compare(stand, next.position) > 0)) return false
    for (const table of tables) {
      this.#tables.set(`live:${table.name}`, this.#rows(table, 'next'))
      this.#tables.delete(`next:${table.name}`)
    }
    for (const key of this.#checkpoints.keys()) {
      if (key.startsWith(keyIn('live', name, ''))) this.#checkpoints.delete(key)
    }
    this.#checkpoints.set(keyIn('live', name), { version, position: next.position })
    this.#checkpoints.delete(keyIn('next', name))
    return true
  }

  /** Every row of a live table, for assertions. */
  all(table: Table): readonly Row[] {
    return [...this.#rows(table, 'live').values()]
  }

  #standOf(name: string, generation: Generation, share?: string): Stand | undefined {
    const whole = this.#checkpoints.get(keyIn(generation, name))
    return this.#checkpoints.get(keyIn(generation, name, share)) ?? whole
  }

  #rows(table: Table, generation: Generation): Map<string, Row> {
    const name = `${generation}:${table.name}`
    const rows = this.#tables.get(name) ?? new Map<string, Row>()
    this.#tables.set(name, rows)
    return rows
  }
}

function keyIn(generation: Generation, name: string, share?: string): string {
  return share === undefined ? `${generation}:${name}` : `${generation}:${name}/${share}`
}

function standsIn(checkpoints: ReadonlyMap<string, Stand>, name: string, version: number): Stands {
  const stands = new Map<string, string>()
  const whole = keyIn('live', name)
  for (const [key, stand] of checkpoints) {
    if (stand.version !== version) continue
    if (key === whole) stands.set('', stand.position)
    if (key.startsWith(`${whole}/`)) stands.set(key.slice(whole.length + 1), stand.position)
  }
  return stands
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
