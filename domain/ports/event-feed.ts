import type { RecordedEvent } from '../envelope.ts'

/** A stretch of the log. */
export type FeedPage = {
  readonly events: readonly RecordedEvent[]
  /** Where to go on; equal to the asked position when there was nothing. */
  readonly position: string
}

/**
 * The whole log in one order that never changes: every event exactly once, each stream in order,
 * nothing lost under concurrent writers, rollbacks and open transactions elsewhere.
 */
export abstract class EventFeed {
  /** The position before the first event. */
  abstract readonly start: string

  /** Up to `limit` events beyond `after`. */
  abstract readPage(after: string, limit: number): Promise<FeedPage>

  /**
   * Resolves when there may be something beyond what was read, after `idleMs` at the latest, or
   * when the signal aborts. It is a hint: spurious and late wake-ups are allowed.
   */
  abstract wait(idleMs: number, signal: AbortSignal): Promise<void>

  /** Negative when a lies before b, zero when equal, positive when beyond. */
  abstract compare(a: string, b: string): number

  /** The position of the last readable event, for lag figures. */
  abstract head(): Promise<string>

  /** Whether the log goes as far as a position that it has had: one that was restored may not. */
  async reaches(position: string): Promise<boolean> {
    return this.compare(position, await this.head()) <= 0
  }
}
