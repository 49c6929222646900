import type { NewEvent, RecordedEvent } from '../../domain/envelope.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { EventPublisher, Publication } from '../../domain/ports/event-publisher.ts'
import { EventStore } from '../../domain/ports/event-store.ts'

/** A store whose appends are there for those who follow live when they resolve. */
export class RelayedStore extends EventStore {
  readonly #store: EventStore
  readonly #feed: EventFeed
  readonly #publisher: EventPublisher
  #publication: Publication | null = null
  #relaying: Promise<void> = Promise.resolve()
  #position: string
  #mark: string | null = null

  constructor(store: EventStore, feed: EventFeed, publisher: EventPublisher) {
    super()
    this.#store = store
    this.#feed = feed
    this.#publisher = publisher
    this.#position = feed.start
  }

  /** Of what was published. */
  get mark(): string | null {
    return this.#mark
  }

  override async append(stream: string, expected: number, events: readonly NewEvent[]) {
    const revision = await this.#store.append(stream, expected, events)
    this.#relaying = this.#relaying.then(() => this.#relay())
    await this.#relaying
    return revision
  }

  override async read(stream: string, from: number): Promise<RecordedEvent[]> {
    return [...(await this.#store.read(stream, from))]
  }

  async close(): Promise<void> {
    await this.#publication?.close()
  }

  /** What came meanwhile goes with it. */
  async #relay(): Promise<void> {
    this.#publication ??= await this.#publisher.open()
    const { events, position } = await this.#feed.readPage(this.#position, 10_000)
    if (events.length === 0) return
    this.#mark = await this.#publication.publish(events, this.#mark)
    this.#position = position
  }
}
