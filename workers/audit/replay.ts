import { canonical } from '../../domain/ledger/canonical.ts'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { keyOf } from '../../domain/ports/read-model-store.ts'
import type { ReadModelSnapshot, ReadModelStore } from '../../domain/ports/read-model-store.ts'
import type { Row, Stands, Table } from '../../domain/ports/read-model-store.ts'
import { applyPage, knownEvents, pageUntil } from '../../projections/page.ts'
import type { Projection } from '../../projections/projection.ts'
import { rowsOf } from '../rows-of.ts'

/** Events per page. */
const pageEventsMax = 1_000
/** Differences that are told; the others are only counted. */
const toldMax = 100

export type ReplayOptions = {
  readonly feed: EventFeed
  readonly store: ReadModelStore
  /** An empty store, in which the log is folded anew. */
  readonly scratch: ReadModelStore
  readonly projections: readonly Projection[]
  /** The share of the log that an event is in, by the name under which checkpoints are kept. */
  readonly shareOf: (event: RecordedEvent) => string
}

/** A row that the live read model and the log do not agree on. */
export type Difference = {
  readonly table: string
  readonly key: string
  /** Null when the live table lacks the row. */
  readonly live: Row | null
  /** Null when the log gives no such row. */
  readonly replayed: Row | null
}

export type ReplayReport = {
  readonly readModels: readonly {
    readonly name: string
    /** Where it stood when it was compared, furthest behind; null when it was never started. */
    readonly position: string | null
  }[]
  readonly events: number
  readonly tables: readonly { readonly table: string; readonly rows: number }[]
  /** The first of them. */
  readonly differences: readonly Difference[]
  /** All of them. */
  readonly differing: number
}

/**
 * Folds the log from its start with the projections of the running system, and compares every row
 * with the live ones at one moment, at exactly the position at which they then stood. Nothing has
 * to stop for it. Read models whose rows are work (`rebuildable: false`) change by being done, and
 * are left out.
 */
export async function replayAudit(options: ReplayOptions): Promise<ReplayReport> {
  const { store, scratch } = options
  const projections = options.projections.filter(({ rebuildable }) => rebuildable)
  return store.snapshot(async (live) => {
    const standing: Standing[] = []
    for (const projection of projections) {
      const { name, version } = projection
      standing.push({ projection, stands: await live.stands(name, version) })
    }
    const events = await fold(options, standing)
    const compared = await scratch.snapshot((replayed) => {
      const tables = projections.flatMap((projection) => projection.tables)
      return compareAll(tables, live, replayed)
    })
    const readModels = standing.map(({ projection: { name }, stands }) => {
      const positions = [...stands.values()].sort((a, b) => options.feed.compare(a, b))
      return { name, position: positions[0] ?? null }
    })
    return { readModels, events, ...compared }
  })
}

type Standing = { readonly projection: Projection; readonly stands: Stands }

/**
 * Carries each read model from nothing to where it stands, every share to its own place. Returns
 * how many events that took.
 */
async function fold(options: ReplayOptions, standing: readonly Standing[]): Promise<number> {
  const { feed, scratch, shareOf } = options
  const positions = standing.flatMap(({ stands }) => [...stands.values()])
  const until = positions.sort((a, b) => feed.compare(a, b)).at(-1) ?? feed.start
  let events = 0
  for (let place = feed.start; feed.compare(place, until) < 0;) {
    const page = pageUntil(await feed.readPage(place, pageEventsMax), until, feed)
    if (page.position === place) break
    for (const { projection, stands } of standing) {
      const seen = page.events.filter((event) => {
        const stand = stands.get(shareOf(event)) ?? stands.get('')
        return stand !== undefined && feed.compare(event.position, stand) <= 0
      })
      const rows = await applyPage([projection], knownEvents(seen), scratch, 'live')
      await scratch.commit([], rows.changes(), 'live')
    }
    events += page.events.length
    place = page.position
  }
  return events
}

async function compareAll(
  tables: readonly Table[],
  live: ReadModelSnapshot,
  replayed: ReadModelSnapshot,
) {
  const differences: Difference[] = []
  let differing = 0
  const counts: { table: string; rows: number }[] = []
  for (const table of tables) {
    let rows = 0
    for await (const pair of pairs(table, live, replayed)) {
      rows += 1
      if (isSame(pair.live, pair.replayed)) continue
      differing += 1
      if (differences.length < toldMax) differences.push({ table: table.name, ...pair })
    }
    counts.push({ table: table.name, rows })
  }
  return { tables: counts, differences, differing }
}

function isSame(a: Row | null, b: Row | null): boolean {
  return a !== null && b !== null && canonical(a) === canonical(b)
}

type Pair = Omit<Difference, 'table'>

/** The rows of both sides under their keys; null where a side has none. */
async function* pairs(
  table: Table,
  live: ReadModelSnapshot,
  replayed: ReadModelSnapshot,
): AsyncGenerator<Pair, void> {
  const left = rowsOf(live, table)
  const right = rowsOf(replayed, table)
  let [a, b] = [await next(left), await next(right)]
  while (a !== null || b !== null) {
    const order = compareKeys(a && keyOf(table, a), b && keyOf(table, b))
    const key = keyOf(table, (order <= 0 ? a : b) ?? {})
    yield { key, live: order <= 0 ? a : null, replayed: order >= 0 ? b : null }
    if (order <= 0) a = await next(left)
    if (order >= 0) b = await next(right)
  }
}

async function next(rows: AsyncGenerator<Row, void>): Promise<Row | null> {
  const { value, done } = await rows.next()
  return done === true ? null : value
}

/** In the order of their bytes; what has ended comes last. */
function compareKeys(a: string | null, b: string | null): number {
  if (a === null) return 1
  return b === null ? -1 : Buffer.compare(Buffer.from(a), Buffer.from(b))
}
