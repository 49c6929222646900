import type pg from 'pg'
import { EventFeed, type FeedPage } from '../../domain/ports/event-feed.ts'
import { comparePositions } from '../position.ts'
import { decodeEvent, type RecordedText } from '../event-text.ts'
import { eventChannel } from './channels.ts'
import type { PostgresListener } from './listener.ts'

/**
 * The log in the order of its positions, up to the watermark that migration 0001 explains. Made
 * for one reader: a second one takes a feed of its own, or it may sleep through a notification
 * that the first has seen.
 */
export class PostgresEventFeed extends EventFeed {
  override readonly start = '0'
  readonly #pool: pg.Pool
  readonly #listener: PostgresListener
  /** Grows with every notification. */
  #bell = 0
  /** The bell when the newest page was asked for: what rang later may not be in it. */
  #seen = 0
  #wake: () => void = () => undefined
  #isListening = false

  constructor(pool: pg.Pool, listener: PostgresListener) {
    super()
    this.#pool = pool
    this.#listener = listener
  }

  override async readPage(after: string, limit: number): Promise<FeedPage> {
    this.#seen = this.#bell
    const { rows } = await this.#pool.query<RecordedText>({
      name: 'read_feed',
      text: 'SELECT * FROM read_feed($1, $2)',
      values: [after, limit],
    })
    return { events: rows.map(decodeEvent), position: rows.at(-1)?.position ?? after }
  }

  override async wait(idleMs: number, signal: AbortSignal): Promise<void> {
    this.#listen()
    if (signal.aborted || this.#bell !== this.#seen) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#wake(), idleMs)
      const wake = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal.addEventListener('abort', wake)
    })
  }

  override compare(a: string, b: string): number {
    return comparePositions(a, b)
  }

  override async head(): Promise<string> {
    const { rows } = await this.#pool.query<{ head: string }>({
      name: 'feed_head',
      text: 'SELECT feed_head() AS head',
    })
    return rows[0]?.head ?? this.start
  }

  /** Not awaited by `wait`: while Postgres is away the idle timer does. */
  #listen(): void {
    if (this.#isListening) return
    this.#isListening = true
    const ring = (): void => {
      this.#bell += 1
      this.#wake()
    }
    void this.#listener.listen(eventChannel, { heard: ring, missed: ring })
  }
}
