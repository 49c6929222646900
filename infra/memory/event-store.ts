import type { CarriedEvent, NewEvent, RecordedEvent } from '../../domain/envelope.ts'
import { EventStore, readCountMax, RevisionConflict } from '../../domain/ports/event-store.ts'
import { assertReadable, decodeEvent, encodeAppend } from '../event-text.ts'
import type { MemoryEventLog } from './event-log.ts'

/** Streams in memory, for tests and the simulator. */
export class MemoryEventStore extends EventStore {
  readonly #log: MemoryEventLog

  constructor(log: MemoryEventLog) {
    super()
    this.#log = log
  }

  override async append(
    stream: string,
    expectedRevision: number,
    events: readonly (NewEvent | CarriedEvent)[],
  ): Promise<number> {
    const texts = encodeAppend(stream, expectedRevision, events)
    const there = this.#log.streams.get(stream) ?? []
    const first = expectedRevision + 1
    if (there.length === first) {
      // Memory has no clock of its own: what is appended is recorded when it was booked.
      const recordedMs = Date.parse(events.at(-1)?.meta.at ?? '')
      this.#log.add(
        texts.map(({ carriedMs, ...text }, at) => {
          return { ...text, stream, revision: first + at, recordedMs: carriedMs ?? recordedMs }
        }),
      )
    } else if (!texts.every((text, at) => there[first + at]?.id === text.id)) {
      throw new RevisionConflict(stream, expectedRevision)
    }
    return expectedRevision + events.length
  }

  override async read(stream: string, fromRevision: number): Promise<readonly RecordedEvent[]> {
    assertReadable(stream, fromRevision)
    const events = this.#log.streams.get(stream) ?? []
    return events.slice(fromRevision, fromRevision + readCountMax).map(decodeEvent)
  }
}
