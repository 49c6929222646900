import type { JsonObject } from '../../domain/json.ts'
import { type SignalTopic, Signals } from '../../domain/ports/signals.ts'
import type { KafkaConnection } from './connection.ts'
import { HintListener } from './hint-listener.ts'
import type { KafkaSender } from './sender.ts'

/** Brokers take a megabyte in one batch by default. */
const payloadBytesMax = 900_000

/** Signals in one topic for all; the key is the signal's topic. */
export class KafkaSignals extends Signals {
  readonly #connection: KafkaConnection
  readonly #sender: KafkaSender
  readonly #listener: HintListener
  #dropped = 0

  constructor(connection: KafkaConnection, sender: KafkaSender) {
    super()
    this.#connection = connection
    this.#sender = sender
    this.#listener = new HintListener(connection, 'updates')
  }

  /** Signals that were too large for a record. */
  get dropped(): number {
    return this.#dropped
  }

  override async publish(topic: SignalTopic, payload: JsonObject): Promise<void> {
    const value = Buffer.from(JSON.stringify(payload))
    if (value.length > payloadBytesMax) {
      this.#dropped += 1
      return
    }
    await this.#sender.send({ to: this.#connection.topics.updates, key: topic, value })
  }

  override async subscribe(
    topic: SignalTopic,
    heard: (payload: JsonObject) => void,
  ): Promise<() => Promise<void>> {
    return await this.#listener.listen([this.#connection.topics.updates], {
      heard: (key, value) => {
        if (key !== topic) return
        const payload = parsed(value)
        if (payload) heard(payload)
      },
      missed: () => undefined,
    })
  }
}

/** Null for what is no signal of ours: others may write to the topic. */
function parsed(text: string): JsonObject | null {
  try {
    return JSON.parse(text) as JsonObject
  } catch {
    return null
  }
}
