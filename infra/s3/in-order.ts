/** Lets what one process does under one name happen in the order in which it was begun. */
export class InOrder {
  readonly #last = new Map<string, Promise<unknown>>()

  /**
   * Runs the task at once; what must not come too early waits in it for `turn`, which resolves when
   * all earlier tasks of that name have ended, well or not.
   *
   * @throws what the task throws
   */
  async run<T>(name: string, task: (turn: Promise<unknown>) => Promise<T>): Promise<T> {
    const turn = this.#last.get(name) ?? Promise.resolve()
    const running = task(turn)
    const ended = Promise.allSettled([turn, running])
    this.#last.set(name, ended)
    try {
      return await running
    } finally {
      if (this.#last.get(name) === ended) this.#last.delete(name)
    }
  }
}
