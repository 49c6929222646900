import type { Clock } from '../../domain/ports/clock.ts'
import { EventFeed, type FeedPage } from '../../domain/ports/event-feed.ts'
import { decodeEvent } from '../event-text.ts'
import { comparePositions } from '../position.ts'
import type { MemoryEventLog } from './event-log.ts'

/** A reason of our own: without one, each abort would make an error with its stack. */
const ended = 'ended'

/** The memory log in its order. Made for one reader, like the feed of Postgres. */
export class MemoryEventFeed extends EventFeed {
  override readonly start = '0'
  readonly #log: MemoryEventLog
  readonly #clock: Clock
  /** Length of the log when the newest page was asked for. */
  #seen = 0

  constructor(log: MemoryEventLog, clock: Clock) {
    super()
    this.#log = log
    this.#clock = clock
  }

  override async readPage(after: string, limit: number): Promise<FeedPage> {
    this.#seen = this.#log.events.length
    const from = Number(after)
    const events = this.#log.events.slice(from, from + limit).map(decodeEvent)
    return { events, position: events.at(-1)?.position ?? after }
  }

  override async wait(idleMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#log.events.length !== this.#seen) return
    const over = new AbortController()
    const end = (): void => over.abort(ended)
    const stop = this.#log.onAppend(end)
    signal.addEventListener('abort', end)
    await this.#clock.sleep(idleMs, over.signal)
    signal.removeEventListener('abort', end)
    stop()
  }

  override compare(a: string, b: string): number {
    return comparePositions(a, b)
  }

  override async head(): Promise<string> {
    return String(this.#log.events.length)
  }
}
