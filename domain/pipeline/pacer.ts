import type { Clock } from '../ports/clock.ts'

/** Shortest time between two beats under load, ms. */
const gapMs = 10
/** So many waiters on one beat are load. */
const loadFrom = 4

/**
 * Lets work that arrives close together start together, so that it shares one append. Alone, work
 * starts at once; under load, on a beat. What is decided on a beat is written right after it, so
 * that gathering costs no lost races.
 */
export class Pacer {
  readonly #clock: Clock
  #lastAt = Number.NEGATIVE_INFINITY
  #waiters = 0
  #wasLoaded = false
  #next: Promise<void> | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves on the next beat. */
  beat(): Promise<void> {
    this.#waiters += 1
    this.#next ??= this.#schedule()
    return this.#next
  }

  async #schedule(): Promise<void> {
    const restMs = this.#wasLoaded ? this.#lastAt + gapMs - this.#clock.now() : 0
    if (restMs > 0) await this.#clock.sleep(restMs)
    else await Promise.resolve()
    this.#lastAt = this.#clock.now()
    this.#wasLoaded = this.#waiters >= loadFrom
    this.#waiters = 0
    this.#next = null
  }
}
