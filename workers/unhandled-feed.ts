import type { RecordedEvent } from '../domain/envelope.ts'
import { EventFeed, type FeedPage } from '../domain/ports/event-feed.ts'
import type { FeedPartitions } from '../domain/ports/feed-partitions.ts'
import type { ReadModelStore, Stands } from '../domain/ports/read-model-store.ts'
import type { Projection } from '../projections/projection.ts'

// When the log is divided into another number of shares, each share is new and begins at the start
// of the log. What the former shares have handled must not be handled again: rows that their first
// event makes would be made anew, and webhooks be sent that were sent and forgotten.
//
//   0/2  ●──●──●▶          0/3  ○──○──●▶
//   1/2  ●──●▶             1/3  ○──●▶         ○ passed over: its former share stands beyond it
//                          2/3  ○──○▶

export type UnhandledOptions = {
  readonly feed: EventFeed
  readonly partitions: Pick<FeedPartitions, 'isIn'>
  readonly store: Pick<ReadModelStore, 'stands'>
  readonly projections: readonly Projection[]
}

/** The feed of a share, without what all of the read models have handled in one of their shares. */
export async function unhandledFeed(options: UnhandledOptions): Promise<EventFeed> {
  const { feed, partitions } = options
  const stands = [...(await handledBy(options))]
  const until = stands.reduce((last, [, at]) => further(feed, last, at), feed.start)
  const isHandled = (event: RecordedEvent): boolean =>
    stands.some(([share, at]) => {
      return feed.compare(event.position, at) <= 0 && partitions.isIn(share, event)
    })
  return new UnhandledFeed(feed, until, isHandled)
}

/** Up to where all of the read models have come in each share that one of them has had. */
async function handledBy({ feed, store, projections }: UnhandledOptions): Promise<Stands> {
  const all = await Promise.all(projections.map(({ name, version }) => store.stands(name, version)))
  const shares = new Set(
    all.flatMap((stands) => [...stands.keys()]).filter((share) => share !== ''),
  )
  const least = (share: string): string =>
    all
      .map((stands) => stands.get(share) ?? stands.get('') ?? feed.start)
      .reduce((first, at) => (feed.compare(at, first) < 0 ? at : first))
  return new Map([...shares].map((share) => [share, least(share)]))
}

function further(feed: EventFeed, a: string, b: string): string {
  return feed.compare(a, b) < 0 ? b : a
}

class UnhandledFeed extends EventFeed {
  override readonly start: string
  readonly #feed: EventFeed
  readonly #until: string
  readonly #isHandled: (event: RecordedEvent) => boolean

  /** @param until nothing beyond is handled */
  constructor(feed: EventFeed, until: string, isHandled: (event: RecordedEvent) => boolean) {
    super()
    this.start = feed.start
    this.#feed = feed
    this.#until = until
    this.#isHandled = isHandled
  }

  override async readPage(after: string, limit: number): Promise<FeedPage> {
    const page = await this.#feed.readPage(after, limit)
    if (this.compare(after, this.#until) >= 0) return page
    return { ...page, events: page.events.filter((event) => !this.#isHandled(event)) }
  }

  override wait(idleMs: number, signal: AbortSignal): Promise<void> {
    return this.#feed.wait(idleMs, signal)
  }

  override compare(a: string, b: string): number {
    return this.#feed.compare(a, b)
  }

  override head(): Promise<string> {
    return this.#feed.head()
  }

  override reaches(position: string): Promise<boolean> {
    return this.#feed.reaches(position)
  }
}
