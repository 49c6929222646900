import type { Decider, DomainEvent } from '../decider.ts'
import type { Json, JsonObject } from '../json.ts'

/** An event whose data can be stored as JSON. */
export type StorableEvent = DomainEvent & { readonly data: JsonObject }

/** How a long stream's state is kept, so that loading it stays cheap. */
export type SnapshotPolicy<State> = {
  readonly version: number
  /** Events from the last snapshot to that of a state, which is written as a whole. */
  readonly eventsUntil: (state: State) => number
  readonly encode: (state: State) => Json
  /** Null when the stored state is not of this shape. */
  readonly decode: (state: Json) => State | null
}

/** A decider with what the pipeline needs to load and store it. */
export type Aggregate<State, Command, Event extends StorableEvent> = {
  /** First part of the stream names: a closed set, fit for a metric label. */
  readonly category: 'job' | 'account' | 'price-book' | 'operators'
  readonly decider: Decider<State, Command, Event>
  /** Tells the aggregate's events from anything else that a stream may hold. */
  readonly owns: (event: { readonly type: string; readonly data: object }) => event is Event
  /** Whether several processes write one stream at the same time. */
  readonly isShared: boolean
  /**
   * Whether the command begins a stream. It is decided without a look at the store, which tells
   * when there is a stream already.
   */
  readonly begins: (command: Command) => boolean
  readonly snapshot: SnapshotPolicy<State> | null
}
