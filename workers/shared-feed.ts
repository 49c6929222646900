import type { RecordedEvent } from '../domain/envelope.ts'
import type { Clock } from '../domain/ports/clock.ts'
import { EventFeed } from '../domain/ports/event-feed.ts'
import type { FeedPage } from '../domain/ports/event-feed.ts'

/** Events kept for readers that are a little behind; some kilobytes each at most. */
const keptMax = 4_000

/** Shortest time between two readings in a busy time, ms: each one costs as much as its events. */
const gapMs = 15
/** A page of so many events that is not full comes of a busy time. */
const busyEvents = 8

/** Reasons of our own: without one, each abort would make an error with its stack. */
const left = 'left'
const news = 'news'

/**
 * One reading of the log for several loops of a process: a page is fetched and parsed once.
 *
 *   log ────────────[ kept ]▶        readers in the window share it
 *          ▲ one that is further behind reads by itself until it arrives
 */
export class SharedFeed {
  readonly #clock: Clock
  readonly #live: EventFeed
  readonly #behind: EventFeed
  /** All events beyond `#from` up to `#to`. */
  #kept: readonly RecordedEvent[] = []
  #from: string
  #to: string
  #reading: Promise<boolean> | null = null
  #waiting: { readonly done: Promise<void>; readonly stop: AbortController } | null = null
  #waiters = 0
  /** Not before this time is read again, ms since the epoch. */
  #restUntil = 0

  /** @param newFeed opens a feed for one reader */
  constructor(newFeed: () => EventFeed, clock: Clock) {
    this.#clock = clock
    this.#live = newFeed()
    this.#behind = newFeed()
    this.#from = this.#live.start
    this.#to = this.#live.start
  }

  /** A feed for one more reader. */
  reader(): EventFeed {
    return new Reader(this, this.#live)
  }

  /** For readers. */
  async readPage(after: string, limit: number): Promise<FeedPage> {
    for (let isOver = false; !isOver;) {
      const ahead = this.#live.compare(after, this.#to)
      if (ahead < 0) break
      if (ahead > 0) this.#startAt(after)
      isOver = await (this.#reading ??= this.#readOn(limit))
    }
    const isKept = this.#live.compare(after, this.#from) >= 0
    return isKept ? this.#pageOf(after, limit) : this.#behind.readPage(after, limit)
  }

  /** For readers: resolves at once when there is more beyond `after`. */
  async wait(after: string, idleMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#live.compare(after, this.#to) < 0) return
    this.#waiting ??= this.#startWaiting(idleMs)
    const { done, stop } = this.#waiting
    this.#waiters += 1
    await new Promise<void>((resolve) => {
      const end = (): void => {
        signal.removeEventListener('abort', end)
        resolve()
      }
      signal.addEventListener('abort', end)
      void done.then(end)
    })
    this.#waiters -= 1
    if (this.#waiters === 0) stop.abort(left)
  }

  #startAt(position: string): void {
    this.#kept = []
    this.#from = position
    this.#to = position
  }

  /** False when the page was of no use: a reader further ahead has moved the window meanwhile. */
  async #readOn(limit: number): Promise<boolean> {
    try {
      // A moment for more events to come, when they come fast.
      const restMs = this.#restUntil - this.#clock.now()
      if (restMs > 0) await this.#clock.sleep(Math.min(restMs, gapMs))
      const from = this.#to
      const page = await this.#live.readPage(from, limit)
      const isBusy = page.events.length >= busyEvents && page.events.length < limit
      if (isBusy) this.#restUntil = this.#clock.now() + gapMs
      if (this.#to !== from) return false
      this.#kept = [...this.#kept, ...page.events]
      this.#to = page.position
      // Who began to wait during this reading would not be told of what it has found.
      if (page.position !== from) this.#waiting?.stop.abort(news)
      const surplus = this.#kept.length - keptMax
      const last = this.#kept[surplus - 1]
      if (last) {
        this.#kept = this.#kept.slice(surplus)
        this.#from = last.position
      }
      return true
    } finally {
      this.#reading = null
    }
  }

  #pageOf(after: string, limit: number): FeedPage {
    const first = this.#indexBeyond(after)
    const events = this.#kept.slice(first, first + limit)
    const isWhole = first + limit >= this.#kept.length
    return { events, position: isWhole ? this.#to : (events.at(-1)?.position ?? after) }
  }

  /** The first kept event beyond the position, by bisection. */
  #indexBeyond(after: string): number {
    let [low, high] = [0, this.#kept.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const event = this.#kept[middle]
      if (event && this.#live.compare(event.position, after) <= 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #startWaiting(idleMs: number) {
    const stop = new AbortController()
    const done = this.#live.wait(idleMs, stop.signal).finally(() => {
      this.#waiting = null
    })
    return { done, stop }
  }
}

/** One reader's view: what it asked for last tells whether there is news for it. */
class Reader extends EventFeed {
  override readonly start: string
  readonly #shared: SharedFeed
  readonly #feed: EventFeed
  #after: string

  constructor(shared: SharedFeed, feed: EventFeed) {
    super()
    this.#shared = shared
    this.#feed = feed
    this.start = feed.start
    this.#after = feed.start
  }

  override readPage(after: string, limit: number): Promise<FeedPage> {
    this.#after = after
    return this.#shared.readPage(after, limit)
  }

  override wait(idleMs: number, signal: AbortSignal): Promise<void> {
    return this.#shared.wait(this.#after, idleMs, signal)
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
