/** Decides, item by item in their order, what goes into one batch; the rest waits. */
export type Selection<T> = (item: T) => boolean

export type BatcherOptions<T> = {
  /** Batches that may run at the same time. */
  readonly inFlightMax: number
  /** Items in one batch at most. */
  readonly batchMax: number
  /** Starts a batch; the returned function is asked for each item that waits. */
  readonly selection?: () => Selection<T>
  /** Pause after a batch of several items, so that a busy time makes few batches; ms. */
  readonly restMs?: number
  /** Does the work. It settles the items itself and never rejects. */
  readonly run: (batch: readonly T[]) => Promise<void>
}

/**
 * Collects what arrives within a tick, and while batches are in flight, into the next batch. Under
 * load batches grow by themselves; alone, an item waits for nothing but the end of its tick.
 */
export class Batcher<T> {
  readonly #options: BatcherOptions<T>
  #waiting: T[] = []
  #inFlight = 0
  #scheduled = false

  constructor(options: BatcherOptions<T>) {
    this.#options = options
  }

  add(item: T): void {
    this.#waiting.push(item)
    if (this.#scheduled || this.#inFlight >= this.#options.inFlightMax) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#start()
    })
  }

  #start(): void {
    while (this.#inFlight < this.#options.inFlightMax) {
      const batch = this.#take()
      if (batch.length === 0) return
      this.#inFlight += 1
      void this.#options
        .run(batch)
        .then(() => this.#rest(batch.length))
        .finally(() => {
          this.#inFlight -= 1
          this.#start()
        })
    }
  }

  async #rest(items: number): Promise<void> {
    const { restMs = 0 } = this.#options
    if (restMs > 0 && items > 1) await new Promise((resolve) => setTimeout(resolve, restMs))
  }

  #take(): T[] {
    const { batchMax, selection } = this.#options
    if (!selection) return this.#waiting.splice(0, batchMax)
    const selects = selection()
    const batch: T[] = []
    const rest: T[] = []
    for (const item of this.#waiting) {
      if (batch.length < batchMax && selects(item)) batch.push(item)
      else rest.push(item)
    }
    this.#waiting = rest
    return batch
  }
}
