import type { CarriedEvent, EventMeta, NewEvent, RecordedEvent } from '../domain/envelope.ts'
import type { JsonObject } from '../domain/json.ts'
import { isoTime } from '../domain/ports/clock.ts'
import {
  appendBytesMax,
  appendCountMax,
  AppendTooBig,
  NO_STREAM,
} from '../domain/ports/event-store.ts'

/** An event as stores keep it: JSON as text, which never holds NUL or half a surrogate pair. */
export type EventText = {
  readonly id: string
  readonly type: string
  readonly data: string
  readonly meta: string
  /** When another log took it, ms since the epoch; null for an event that is new. */
  readonly carriedMs: number | null
}

/** A stored event and its place. */
export type RecordedText = Omit<EventText, 'carriedMs'> & {
  readonly stream: string
  readonly revision: number
  readonly position: string
  /** When the store took it, ms since the epoch. */
  readonly recordedMs: number
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const unstorablePattern = /\0|\p{Surrogate}/u
const nameLengthMax = 200

/** What every store can count to. */
const revisionMax = 2 ** 31 - 1 - appendCountMax

/**
 * The events of an append in the form that stores keep.
 *
 * @throws RangeError when no store could take that append: the caller is wrong, not late
 */
export function encodeAppend(
  stream: string,
  expected: number,
  events: readonly (NewEvent | CarriedEvent)[],
): readonly EventText[] {
  assertName('stream', stream)
  assertRevision(expected, NO_STREAM)
  if (events.length < 1 || events.length > appendCountMax) {
    throw new RangeError(`an append takes 1 to ${appendCountMax} events, not ${events.length}`)
  }
  const texts = events.map(encodeEvent)
  const bytes = texts.reduce((sum, text) => sum + bytesOf(text), 0)
  if (bytes > appendBytesMax) {
    throw new AppendTooBig(`an append takes at most ${appendBytesMax} bytes, not ${bytes}`)
  }
  return texts
}

function bytesOf({ type, data, meta }: EventText): number {
  return 2 * type.length + Buffer.byteLength(data) + Buffer.byteLength(meta)
}

function encodeEvent(event: NewEvent | CarriedEvent): EventText {
  if (!uuidPattern.test(event.id)) throw new RangeError(`event id ${event.id} is not a uuid`)
  assertName('event type', event.type)
  return {
    id: event.id,
    type: event.type,
    data: JSON.stringify(event.data),
    meta: JSON.stringify(event.meta),
    carriedMs: 'recordedAt' in event ? carriedMs(event) : null,
  }
}

function carriedMs({ id, recordedAt }: CarriedEvent): number {
  const ms = Date.parse(recordedAt)
  if (Number.isNaN(ms)) throw new RangeError(`event ${id} was recorded at ${recordedAt}`)
  return ms
}

export function decodeEvent(text: RecordedText): RecordedEvent {
  return {
    id: text.id,
    stream: text.stream,
    revision: text.revision,
    position: text.position,
    type: text.type,
    data: JSON.parse(text.data) as JsonObject,
    meta: JSON.parse(text.meta) as EventMeta,
    recordedAt: isoTime(text.recordedMs),
  }
}

/** @throws RangeError when no store could have that stream or that revision */
export function assertReadable(stream: string, fromRevision: number): void {
  assertName('stream', stream)
  assertRevision(fromRevision, 0)
}

function assertRevision(revision: number, min: number): void {
  if (!Number.isInteger(revision) || revision < min || revision > revisionMax) {
    throw new RangeError(`${revision} is not a revision`)
  }
}

function assertName(what: string, name: string): void {
  if (name.length < 1 || name.length > nameLengthMax || unstorablePattern.test(name)) {
    throw new RangeError(`${JSON.stringify(name)} cannot be the name of a ${what}`)
  }
}
