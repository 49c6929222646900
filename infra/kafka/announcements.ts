import { Announcements } from '../../domain/ports/announcements.ts'
import type { KafkaConnection } from './connection.ts'
import { HintListener } from './hint-listener.ts'

/** Hears announcements in the topics of the job types, in every process. */
export class KafkaAnnouncements extends Announcements {
  readonly #connection: KafkaConnection
  readonly #listener: HintListener

  constructor(connection: KafkaConnection) {
    super()
    this.#connection = connection
    this.#listener = new HintListener(connection, 'jobs')
  }

  override async listen(
    jobTypes: readonly string[],
    heard: () => void,
  ): Promise<() => Promise<void>> {
    const topics = jobTypes.map((type) => this.#connection.topics.jobs(type))
    return await this.#listener.listen(topics, { heard, missed: heard })
  }
}
