import type { EventType, Recorded, WeirEvent } from '../domain/catalog.ts'
import type { Row, Table } from '../domain/ports/read-model-store.ts'

/** A row that a projection wants to see before it handles an event. */
export type RowRef = {
  readonly table: Table
  readonly key: string
  /** This event makes the row, so there is nothing to load: no event is handled twice, because
   * rows and checkpoint change together. */
  readonly isNew?: boolean
}

/** The rows of the page in work. A write is visible to the next event of the page. */
export type Rows = {
  /** Only rows that `reads` named, or that this page wrote, are there. */
  readonly get: <R extends Row>(table: Table<R>, key: string) => R | null
  readonly put: <R extends Row>(table: Table<R>, row: R) => void
  readonly remove: (table: Table, key: string) => void
}

type EventOf<Type extends EventType> = Recorded<Extract<WeirEvent, { type: Type }>>

/** What to do with which event. A misspelt type does not compile. */
export type Handlers = {
  readonly [Type in EventType]?: (event: EventOf<Type>, rows: Rows) => void
}

/** A read model: pure, so that the simulator and a rebuild run the very same code. */
export type Projection = {
  readonly name: string
  /** Raise it when the shape changes: the read model is then rebuilt beside the old one. */
  readonly version: number
  readonly tables: readonly Table[]
  /** Rows that the handler of this event will ask for. */
  readonly reads: (event: Recorded) => readonly RowRef[]
  readonly handlers: Handlers
  /**
   * What order its rows need. `log`: they follow from events of several orgs, so one process at a
   * time carries it through the whole log. `org`: the events of each org in their order suffice, so
   * several processes can share the orgs.
   */
  readonly order: 'log' | 'org'
  /** False when its rows are work that somebody does, so that a rebuild would do it twice. */
  readonly rebuildable: boolean
}

/** Hands an event to its handler, if there is one. */
export function dispatch(handlers: Handlers, event: Recorded, rows: Rows): void {
  const handler: ((event: never, rows: Rows) => void) | undefined = handlers[event.type]
  // The catalogue ties a type to its data; the compiler cannot follow that through the lookup.
  // eslint-disable-next-line @typescript-eslint/consistent-type-assertions
  handler?.(event as never, rows)
}

/** Tables are used under their own row type and handed on under the general one. */
export function defineTable<R extends Row>(table: Table<R>): Table<R> {
  return table
}
