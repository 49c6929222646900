import type { KafkaMessage } from 'kafkajs'
import type { KafkaConnection } from './connection.ts'
import type { KafkaSender } from './sender.ts'

/** A record, and where it lies. */
export type FoundRecord = {
  readonly topic: string
  readonly partition: number
  readonly message: KafkaMessage
}

/** Puts records that cannot be read aside, and counts them: they never keep others waiting. */
export class DeadLetters {
  readonly #connection: KafkaConnection
  readonly #sender: KafkaSender
  #count = 0

  constructor(connection: KafkaConnection, sender: KafkaSender) {
    this.#connection = connection
    this.#sender = sender
  }

  /** Records that were put aside since the process began. */
  get count(): number {
    return this.#count
  }

  add({ topic, partition, message }: FoundRecord, reason: string): void {
    const { key, value, offset } = message
    this.#count += 1
    const position = `${topic}/${partition}/${offset}`
    this.#connection.report('error', { position, error: reason }, 'a record could not be read')
    const headers = { reason, topic, partition: String(partition), offset }
    void this.#sender.send({ to: this.#connection.topics.deadLetters, key, value, headers })
  }
}
