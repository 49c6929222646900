import type { RecordedEvent } from '../../domain/envelope.ts'
import type { EventStoreDbBell } from './bell.ts'
import { ourEvent } from './our-event.ts'
import type { Recorded } from './read.ts'

/** Kept of all streams together, and of one of them, bytes of data and metadata. */
const bytesMax = 32 * 1024 * 1024
const streamBytesMax = 512 * 1024

/** The newest events of a stream, without a hole. Raw: most of them nobody asks for. */
type Tail = { readonly first: number; readonly events: Recorded[]; bytes: number }

/**
 * The newest events of the log, as the bell of the process brings them: a read of a stream is a
 * call of its own, an event here a message of one that lasts. Listens from the first question on.
 */
export class RecentEvents {
  readonly #bell: EventStoreDbBell
  readonly #streamPrefix: string
  /** By the name that the server knows; the one that moved last comes last. */
  readonly #tails = new Map<string, Tail>()
  #bytes = 0
  #isListening = false

  /** @param streamPrefix stands before every name on the server, so that weirs can share one */
  constructor(bell: EventStoreDbBell, streamPrefix = '') {
    this.#bell = bell
    this.#streamPrefix = streamPrefix
  }

  /**
   * Events from a revision (inclusive) on; null when it was not heard how that place looks. A
   * process knows of its own appends before it hears of them: then nothing follows yet.
   */
  of(stream: string, fromRevision: number): readonly RecordedEvent[] | null {
    this.#listen()
    const tail = this.#tails.get(this.#streamPrefix + stream)
    if (!tail || fromRevision < tail.first) return null
    const events: RecordedEvent[] = []
    for (const recorded of tail.events.slice(fromRevision - tail.first)) {
      const event = ourEvent(recorded, this.#streamPrefix)
      if (!event) return null
      events.push(event)
    }
    return events
  }

  #listen(): void {
    if (this.#isListening) return
    this.#isListening = true
    this.#bell.listen({
      heard: (recorded) => this.#keep(recorded),
      missed: () => {
        this.#tails.clear()
        this.#bytes = 0
      },
    })
  }

  #keep(recorded: Recorded): void {
    const name = Buffer.from(recorded.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString()
    const revision = Number(recorded.getStreamRevision())
    const bytes = recorded.getData_asU8().length + recorded.getCustomMetadata_asU8().length
    let tail = this.#tails.get(name)
    const follows = tail !== undefined && revision === tail.first + tail.events.length
    if (!tail || !follows || tail.bytes + bytes > streamBytesMax) {
      this.#forget(name)
      if (bytes > streamBytesMax) return
      tail = { first: revision, events: [], bytes: 0 }
    }
    tail.events.push(recorded)
    tail.bytes += bytes
    this.#bytes += bytes
    this.#tails.delete(name)
    this.#tails.set(name, tail)
    for (const oldest of this.#tails.keys()) {
      if (this.#bytes <= bytesMax) return
      this.#forget(oldest)
    }
  }

  #forget(name: string): void {
    this.#bytes -= this.#tails.get(name)?.bytes ?? 0
    this.#tails.delete(name)
  }
}
