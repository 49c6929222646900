import type { RecordedText } from '../event-text.ts'

/** What the memory event store writes and the memory event feed reads. */
export class MemoryEventLog {
  /** The event at index i has position i + 1. */
  readonly events: RecordedText[] = []
  readonly streams = new Map<string, RecordedText[]>()
  readonly #waiting = new Set<() => void>()

  add(events: readonly Omit<RecordedText, 'position'>[]): void {
    for (const event of events) {
      const recorded = { ...event, position: String(this.events.length + 1) }
      this.events.push(recorded)
      const stream = this.streams.get(event.stream)
      if (stream) stream.push(recorded)
      else this.streams.set(event.stream, [recorded])
    }
    for (const wake of [...this.#waiting]) wake()
  }

  /** Calls `wake` after each append until the returned function is called. */
  onAppend(wake: () => void): () => void {
    this.#waiting.add(wake)
    return () => void this.#waiting.delete(wake)
  }
}
