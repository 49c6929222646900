/** Lets so many things run at the same time, the others in the order in which they came. */
export class Turns {
  readonly #max: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(max: number) {
    this.#max = max
  }

  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#max) await new Promise<void>((go) => this.#waiting.push(go))
    else this.#running += 1
    try {
      return await run()
    } finally {
      // Who waited goes on in this place, so that nobody can come between.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running -= 1
    }
  }
}
