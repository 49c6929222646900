import { Announcer } from '../../domain/ports/announcements.ts'
import type { KafkaConnection } from './connection.ts'
import type { KafkaSender } from './sender.ts'

/** Announces by a record in the topic of the job type. */
export class KafkaAnnouncer extends Announcer {
  readonly #connection: KafkaConnection
  readonly #sender: KafkaSender

  constructor(connection: KafkaConnection, sender: KafkaSender) {
    super()
    this.#connection = connection
    this.#sender = sender
  }

  override async announce(jobTypes: readonly string[]): Promise<void> {
    const { jobs } = this.#connection.topics
    const records = [...new Set(jobTypes)].map((type) => ({ to: jobs(type), key: null, value: '' }))
    await Promise.all(records.map((record) => this.#sender.send(record)))
  }
}
