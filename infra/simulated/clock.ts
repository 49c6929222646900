import { Clock } from '../../domain/ports/clock.ts'

type Sleeper = { readonly dueMs: number; readonly wake: () => void }

/** Time that stands still until it is moved. */
export class SimulatedClock extends Clock {
  #nowMs: number
  readonly #sleepers = new Set<Sleeper>()

  /** @param nowMs where time begins, in ms since the epoch */
  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    super()
    this.#nowMs = nowMs
  }

  override now(): number {
    return this.#nowMs
  }

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const wake = (): void => {
        this.#sleepers.delete(sleeper)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const sleeper = { dueMs: this.#nowMs + Math.max(ms, 0), wake }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', wake)
    })
  }

  /** When the next sleeper wakes, in ms since the epoch, or null when nobody sleeps. */
  nextWakeMs(): number | null {
    return this.#next()?.dueMs ?? null
  }

  /**
   * Moves time on. Sleepers wake in the order of their times, each at its own time, and what they
   * do next has a turn of the event loop before time goes on.
   */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await turn()
    for (let next = this.#next(); next && next.dueMs <= untilMs; next = this.#next()) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.wake()
      await turn()
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  /** The earliest sleeper; of equals, the one that fell asleep first. */
  #next(): Sleeper | null {
    let earliest: Sleeper | null = null
    for (const sleeper of this.#sleepers) {
      if (!earliest || sleeper.dueMs < earliest.dueMs) earliest = sleeper
    }
    return earliest
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
