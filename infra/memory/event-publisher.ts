import type { RecordedEvent } from '../../domain/envelope.ts'
import { EventPublisher, type Publication } from '../../domain/ports/event-publisher.ts'

/** What memory publishers write: one partition, which can be replaced by an empty one. */
export class MemoryTopic {
  #records: RecordedEvent[] = []
  #identity = 0
  /** The first identity since it was divided as it is. */
  #dividedAt = 0

  get records(): readonly RecordedEvent[] {
    return this.#records
  }

  get identity(): number {
    return this.#identity
  }

  /** Returns the mark of where that leaves the topic. */
  append(events: readonly RecordedEvent[]): string {
    this.#records.push(...events)
    return this.#end
  }

  /** The mark of where it ends now; null when it is divided otherwise than at that mark. */
  resume(mark: string): string | null {
    return Number(mark.split(':')[0]) < this.#dividedAt ? null : this.#end
  }

  holds(mark: string): boolean {
    const [identity, length] = mark.split(':').map(Number)
    return identity === this.#identity && (length ?? 0) <= this.#records.length
  }

  wipe(): void {
    this.#records = []
    this.#identity += 1
  }

  divideAnew(): void {
    this.wipe()
    this.#dividedAt = this.#identity
  }

  get #end(): string {
    return `${this.#identity}:${this.#records.length}`
  }
}

/** Publishes within one process. */
export class MemoryEventPublisher extends EventPublisher {
  readonly #topic: MemoryTopic

  constructor(topic: MemoryTopic) {
    super()
    this.#topic = topic
  }

  override async open(): Promise<Publication> {
    const topic = this.#topic
    const { identity } = topic
    return {
      holds: async (mark) => topic.holds(mark),
      resume: async (mark) => topic.resume(mark),
      publish: async (events) => {
        if (topic.identity !== identity) throw new Error('the topic was replaced')
        return topic.append(events)
      },
      close: async () => undefined,
    }
  }
}
