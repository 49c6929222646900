/** Carries messages within one process: never to the sender's own turn, always in order. */
export class MemoryBus {
  readonly #hearers = new Map<string, Set<(message: string) => void>>()

  send(channel: string, message: string): void {
    queueMicrotask(() => {
      for (const hear of [...(this.#hearers.get(channel) ?? [])]) hear(message)
    })
  }

  /** Calls `hear` until the returned function is called. */
  hear(channel: string, hear: (message: string) => void): () => void {
    const hearers = this.#hearers.get(channel) ?? new Set()
    hearers.add(hear)
    this.#hearers.set(channel, hearers)
    return () => void hearers.delete(hear)
  }
}
