import { assert } from '../../domain/assert.ts'

/** Lets at most `max` tasks run at a time; the others wait for their turn. */
export class Gate {
  readonly #max: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(max: number) {
    assert(max >= 1, 'somebody may pass the gate')
    this.#max = max
  }

  /** @throws what the task throws */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#max) this.#running += 1
    // Whoever leaves hands its place on, so the count stays.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running -= 1
    }
  }
}
