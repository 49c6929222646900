import type { JobEvent } from './contract.ts'

/**
 * Turns events that may come twice, late or out of order into each revision once, in order. What
 * lies ahead of a hole waits until the hole is filled.
 */
export class Sequence {
  #last: number
  readonly #ahead = new Map<number, JobEvent>()

  /** @param after the last revision that is known already; -1 for none */
  constructor(after: number) {
    this.#last = after
  }

  /** The last revision that was given out. */
  get last(): number {
    return this.#last
  }

  /** How many events wait to be taken. */
  get size(): number {
    return this.#ahead.size
  }

  /** Whether something is known of what comes after a hole. */
  get hasHole(): boolean {
    return this.#ahead.size > 0 && !this.#ahead.has(this.#last + 1)
  }

  add(events: Iterable<JobEvent>): void {
    for (const event of events) {
      if (event.revision > this.#last) this.#ahead.set(event.revision, event)
    }
  }

  /** Takes what is next; undefined when it has not come yet. */
  next(): JobEvent | undefined {
    const event = this.#ahead.get(this.#last + 1)
    if (event === undefined) return undefined
    this.#ahead.delete(event.revision)
    this.#last = event.revision
    return event
  }

  /** Goes on behind another revision: what was known lies beyond the end of the stream. */
  restart(after: number): void {
    this.#last = after
    this.#ahead.clear()
  }
}
