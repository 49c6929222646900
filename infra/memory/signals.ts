import type { JsonObject } from '../../domain/json.ts'
import { type SignalTopic, Signals } from '../../domain/ports/signals.ts'
import type { MemoryBus } from './bus.ts'

/** Signals within one process. */
export class MemorySignals extends Signals {
  readonly #bus: MemoryBus

  constructor(bus: MemoryBus) {
    super()
    this.#bus = bus
  }

  override async publish(topic: SignalTopic, payload: JsonObject): Promise<void> {
    this.#bus.send(`signal ${topic}`, JSON.stringify(payload))
  }

  override async subscribe(
    topic: SignalTopic,
    heard: (payload: JsonObject) => void,
  ): Promise<() => Promise<void>> {
    const stop = this.#bus.hear(`signal ${topic}`, (text) => heard(JSON.parse(text) as JsonObject))
    return async () => stop()
  }
}
