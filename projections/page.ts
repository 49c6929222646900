import { isKnownEvent } from '../domain/catalog.ts'
import type { Recorded } from '../domain/catalog.ts'
import type { RecordedEvent } from '../domain/envelope.ts'
import { keyOf } from '../domain/ports/read-model-store.ts'
import type { EventFeed, FeedPage } from '../domain/ports/event-feed.ts'
import type {
  Generation,
  ReadModelStore,
  Row,
  Table,
  TableChange,
} from '../domain/ports/read-model-store.ts'
import { dispatch } from './projection.ts'
import type { Projection, RowRef, Rows } from './projection.ts'

/** The rows that one page of events touches, of one or several projections. */
export class PageRows implements Rows {
  readonly #tables = new Map<string, Map<string, Row | null>>()
  readonly #written = new Map<string, { table: Table; keys: Set<string> }>()

  /** Loads what the refs name and is not here yet, one read per table. */
  async load(
    store: ReadModelStore,
    refs: readonly RowRef[],
    generation: Generation,
  ): Promise<void> {
    for (const [table, keys] of missingKeys(refs, this.#tables)) {
      const rows = this.#rowsOf(table)
      for (const key of keys) rows.set(key, null)
      if (table.appendOnly) continue
      for (const row of await store.load(table, [...keys], generation)) {
        rows.set(keyOf(table, row), row)
      }
    }
  }

  get<R extends Row>(table: Table<R>, key: string): R | null {
    const row = this.#tables.get(table.name)?.get(key) ?? null
    // A table's rows are written by `put` and `load` alone, both of which have its row type.
    // eslint-disable-next-line @typescript-eslint/consistent-type-assertions
    return row as R | null
  }

  put<R extends Row>(table: Table<R>, row: R): void {
    this.#write(table, keyOf(table, row), row)
  }

  remove(table: Table, key: string): void {
    this.#write(table, key, null)
  }

  /** What must be written to make the store agree with these rows. */
  changes(): readonly TableChange[] {
    return [...this.#written.values()].map(({ table, keys }) => {
      const rows = this.#rowsOf(table)
      const put: Row[] = []
      const remove: string[] = []
      for (const key of keys) {
        const row = rows.get(key)
        if (row) put.push(row)
        else remove.push(key)
      }
      return { table, put, remove }
    })
  }

  #write(table: Table, key: string, row: Row | null): void {
    this.#rowsOf(table).set(key, row)
    const written = this.#written.get(table.name) ?? { table, keys: new Set<string>() }
    written.keys.add(key)
    this.#written.set(table.name, written)
  }

  #rowsOf(table: Table): Map<string, Row | null> {
    const rows = this.#tables.get(table.name) ?? new Map<string, Row | null>()
    this.#tables.set(table.name, rows)
    return rows
  }
}

/** Events that this version of weir knows; others belong to a newer one and are passed over. */
export function knownEvents(events: readonly RecordedEvent[]): readonly Recorded[] {
  return events.filter((event) => isKnownEvent(event))
}

/** The part of a page that does not go beyond `until`. */
export function pageUntil(page: FeedPage, until: string, feed: EventFeed): FeedPage {
  if (feed.compare(page.position, until) <= 0) return page
  const events = page.events.filter((event) => feed.compare(event.position, until) <= 0)
  return { events, position: until }
}

/** Applies a page of events to the rows that they touch. Pure but for the loading. */
export async function applyPage(
  projections: readonly Projection[],
  events: readonly Recorded[],
  store: ReadModelStore,
  generation: Generation,
): Promise<PageRows> {
  const rows = new PageRows()
  const refs = projections.flatMap((projection) => events.flatMap(projection.reads))
  await rows.load(store, refs, generation)
  for (const event of events) {
    for (const projection of projections) dispatch(projection.handlers, event, rows)
  }
  return rows
}

function missingKeys(refs: readonly RowRef[], known: Map<string, Map<string, Row | null>>) {
  const missing = new Map<string, { table: Table; keys: Set<string> }>()
  for (const { table, key, isNew } of refs) {
    if (isNew || known.get(table.name)?.has(key)) continue
    const entry = missing.get(table.name) ?? { table, keys: new Set<string>() }
    entry.keys.add(key)
    missing.set(table.name, entry)
  }
  return [...missing.values()].map(({ table, keys }) => [table, keys] as const)
}
