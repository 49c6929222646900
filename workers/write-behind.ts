/**
 * Writes pages one after another, each while the next one is read and applied. A page that is not
 * written lets none after it be written, until `settle`.
 */
export class WriteBehind {
  #writing: Promise<void> = Promise.resolve()

  /**
   * Begins to write a page once the one before it is written.
   *
   * @throws what kept the one before from being written
   */
  async next(write: () => Promise<void>): Promise<void> {
    await this.#writing
    this.#writing = write()
    // Its error is thrown where it is waited for.
    this.#writing.catch(() => undefined)
  }

  /** @throws what kept the last page from being written */
  async written(): Promise<void> {
    await this.#writing
  }

  /** Waits for the last page, whatever becomes of it, and begins anew. */
  async settle(): Promise<void> {
    await this.#writing.catch(() => undefined)
    this.#writing = Promise.resolve()
  }
}
