/** Messages that wait for their one reader, in the order in which they came. */
export class Inbox<T> {
  readonly #messages: T[] = []
  readonly #signal: AbortSignal | undefined
  #wake: () => void = () => undefined

  /** @param signal ends the waiting of the reader */
  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
    signal?.addEventListener('abort', this.#wakeUp)
  }

  readonly put = (message: T): void => {
    this.#messages.push(message)
    this.#wake()
  }

  /** The next message, when there is one. @throws the reason of the signal, once it has aborted */
  async take(): Promise<T> {
    for (;;) {
      this.#signal?.throwIfAborted()
      const message = this.#messages.shift()
      if (message !== undefined) return message
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#wakeUp)
  }

  readonly #wakeUp = (): void => this.#wake()
}
