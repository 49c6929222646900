import type { JsonObject } from './json.ts'

/** Who caused an event and why; travels with it through every store and topic. */
export type EventMeta = {
  readonly orgId: string
  /**
   * `key:<keyId>`, `client:<userId>`, `admin:<operatorId>`, `worker` (`worker:<id>` when it begins
   * an attempt), `system:<what>`; `anonymous` for nobody who is known.
   */
  readonly actor: string
  readonly correlationId: string
  /** Id of the command or event that caused this one. */
  readonly causationId: string
  /** W3C trace context, so that one job is one trace across every store. */
  readonly traceparent: string | null
  /** When it was booked: ISO 8601 with milliseconds, from the Clock port. */
  readonly at: string
  /** Version of the data's shape; upcasters raise it on reading. */
  readonly schema: number
}

/** An event that a command wants in the log. */
export type NewEvent = {
  /** uuid; derived from what caused it, so that a retry carries the same id. */
  readonly id: string
  readonly type: string
  readonly data: JsonObject
  readonly meta: EventMeta
}

/** An event that comes out of another log, and keeps the time at which that one took it. */
export type CarriedEvent = NewEvent & { readonly recordedAt: string }

/** An event of the log. */
export type RecordedEvent = NewEvent & {
  readonly stream: string
  /** 0-based number within the stream, without holes. */
  readonly revision: number
  /** Opaque place in the whole log; compare only through the EventFeed port. */
  readonly position: string
  /** When the log first took it: ISO 8601 with milliseconds, from the log's own clock. */
  readonly recordedAt: string
}
