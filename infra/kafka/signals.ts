import type { JsonObject } from '../../domain/json.ts'
import { type SignalTopic, Signals } from '../../domain/ports/signals.ts'
import type { KafkaConnection } from './connection.ts'
import { HintListener } from './hint-listener.ts'
import type { KafkaSender } from './sender.ts'

/** Brokers take a megabyte in one batch by default. */
const payloadBytesMax = 900_000
/** Commands publish too, and none waits longer for a broker. */
const publishMsMax = 1_000
/** A reason of our own: without one, each abort would make an error with its stack. */
const settled = 'settled'

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

  /** Resolves when a broker has the signal, or when it is late or lost: nobody is to know which. */
  override async publish(topic: SignalTopic, payload: JsonObject): Promise<void> {
    const value = Buffer.from(JSON.stringify(payload))
    if (value.length > payloadBytesMax) {
      this.#dropped += 1
      return
    }
    const { clock, topics } = this.#connection
    const sent = new AbortController()
    const sending = this.#sender.send({ to: topics.updates, key: topic, value })
    void sending.then(() => sent.abort(settled))
    await clock.sleep(publishMsMax, sent.signal)
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
