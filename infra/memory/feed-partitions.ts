import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { FeedPartitions, type FollowPartition } from '../../domain/ports/feed-partitions.ts'

const wholeLog = 'all'

/** The whole log as one share, which falls to every process that follows. */
export class WholeLog extends FeedPartitions {
  readonly #newFeed: () => EventFeed

  constructor(newFeed: () => EventFeed) {
    super()
    this.#newFeed = newFeed
  }

  override async follow(_consumer: string, work: FollowPartition): Promise<() => Promise<void>> {
    const stopping = new AbortController()
    const working = work({ name: wholeLog, feed: this.#newFeed(), signal: stopping.signal })
    return async () => {
      stopping.abort()
      await working
    }
  }

  override shareOf(): string {
    return wholeLog
  }

  override isIn(share: string): boolean {
    return share === wholeLog
  }
}
