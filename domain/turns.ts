/**
 * Lets so many things run at the same time. The others wait: those of one party in the order in
 * which they came, and parties that wait take turns, however many things each of them has.
 */
export class Turns {
  readonly #max: number
  /** By party; the one whose turn is next comes first. */
  readonly #waiting = new Map<string, (() => void)[]>()
  #running = 0
  #waits = 0

  constructor(max: number) {
    this.#max = max
  }

  /** How many things wait. */
  get waiting(): number {
    return this.#waits
  }

  /** Runs it when it is its turn. @param party whose it is; all are of one party by default */
  async take<T>(run: () => Promise<T>, party = ''): Promise<T> {
    if (this.#running < this.#max) this.#running += 1
    else await this.#turnOf(party)
    try {
      return await run()
    } finally {
      this.#leave()
    }
  }

  #turnOf(party: string): Promise<void> {
    this.#waits += 1
    return new Promise((go) => {
      const own = this.#waiting.get(party)
      if (own) own.push(go)
      else this.#waiting.set(party, [go])
    })
  }

  /** Who waited goes on in the place that becomes free, so that nobody can come between. */
  #leave(): void {
    const next = this.#waiting.entries().next()
    if (next.done) {
      this.#running -= 1
      return
    }
    const [party, own] = next.value
    const go = own.shift()
    this.#waits -= 1
    this.#waiting.delete(party)
    if (own.length > 0) this.#waiting.set(party, own)
    go?.()
  }
}
