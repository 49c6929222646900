import type { Clock } from '../domain/ports/clock.ts'

/** Shortest time between two pages in a busy time, ms: each one costs as much as its events. */
const gapMs = 15
/** So many events in the last moments make a busy time. */
const busyEvents = 8
/** After so long an event counts half, ms. */
const halfLifeMs = 50

/** Lets pages grow in a busy time; in a quiet one nothing waits. */
export class Gathering {
  readonly #clock: Clock
  /** The events of the last moments, and when they were counted, ms since the epoch. */
  #recent = { events: 0, at: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts the events of a page. */
  count(events: number): void {
    this.#recent = { events: this.#left() + events, at: this.#clock.now() }
  }

  /** Resolves when the next page may be read. */
  async rest(signal: AbortSignal): Promise<void> {
    if (this.#left() < busyEvents) return
    const restMs = gapMs - this.#sinceMs()
    if (restMs > 0) await this.#clock.sleep(restMs, signal)
  }

  #left(): number {
    return this.#recent.events * 2 ** (-this.#sinceMs() / halfLifeMs)
  }

  /** The machine's clock may have been set back meanwhile. */
  #sinceMs(): number {
    return Math.max(this.#clock.now() - this.#recent.at, 0)
  }
}
