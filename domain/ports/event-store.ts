import type { CarriedEvent, NewEvent, RecordedEvent } from '../envelope.ts'
import { EngineUnavailable } from './engine-unavailable.ts'

/** Expected revision of a stream that must not exist yet. */
export const NO_STREAM = -1

/** Most events one `read` returns; a longer stream is read in pages. */
export const readCountMax = 1000

/** Most events one `append` takes. */
export const appendCountMax = 1000

/**
 * Most bytes that the types, data and metadata of one append take, types counted twice: what an
 * EventStoreDB takes as it comes. Events are small; big payloads travel by reference.
 */
export const appendBytesMax = 1_000_000

/** Nothing was written, because the store does not take so much at once: append fewer events. */
export class AppendTooBig extends RangeError {
  override readonly name = 'AppendTooBig'
}

/** The stream is not at the revision that the writer had seen. Load again and decide again. */
export class RevisionConflict extends Error {
  override readonly name = 'RevisionConflict'
  readonly stream: string
  readonly expected: number

  constructor(stream: string, expected: number) {
    super(`stream ${stream} is not at revision ${expected}`)
    this.stream = stream
    this.expected = expected
  }
}

/** The append may or may not have happened. Repeat it with the same ids and revision. */
export class UnknownOutcome extends EngineUnavailable {
  override readonly name = 'UnknownOutcome'
}

/** The source of truth: streams of events, each numbered from 0 without holes. */
export abstract class EventStore {
  /**
   * Appends all events or none, durably, when the stream's last revision is `expectedRevision`.
   * Repeating an append that succeeded (same ids at the same place) succeeds again and writes
   * nothing: that is how an unknown outcome is resolved.
   *
   * @returns the stream's last revision after the append
   * @throws RevisionConflict, UnknownOutcome, AppendTooBig
   */
  abstract append(
    stream: string,
    expectedRevision: number,
    events: readonly (NewEvent | CarriedEvent)[],
  ): Promise<number>

  /**
   * Events from `fromRevision` (inclusive) on, oldest first, at most `readCountMax`.
   * An unknown stream is empty.
   *
   * @throws EngineUnavailable
   */
  abstract read(stream: string, fromRevision: number): Promise<readonly RecordedEvent[]>

  /**
   * What this process has heard of a stream by itself: events from `fromRevision` (inclusive) on,
   * oldest first, without a hole. There may be more by now. Null when what came from there on may
   * be missing; then it must be read.
   */
  recent(_stream: string, _fromRevision: number): readonly RecordedEvent[] | null {
    return null
  }
}

/** Events from one revision to another at least, read only when they were not heard of. */
export async function readTo(
  store: EventStore,
  stream: string,
  fromRevision: number,
  toRevision: number,
): Promise<readonly RecordedEvent[]> {
  const heard = store.recent(stream, fromRevision)
  const isEnough = heard !== null && fromRevision + heard.length > toRevision
  return isEnough ? heard : await readAll(store, stream, fromRevision)
}

/** Reads a stream whole, page by page. */
export async function readAll(
  store: EventStore,
  stream: string,
  fromRevision: number,
): Promise<readonly RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for (;;) {
    const page = await store.read(stream, fromRevision + events.length)
    events.push(...page)
    if (page.length < readCountMax) return events
  }
}
