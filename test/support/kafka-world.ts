import { type EventFeed } from '../../domain/ports/event-feed.ts'
import type { KafkaConnection } from '../../infra/kafka/connection.ts'
import { DeadLetters } from '../../infra/kafka/dead-letters.ts'
import { KafkaEventPublisher, lastPublished } from '../../infra/kafka/event-publisher.ts'
import { KafkaFeedPartitions } from '../../infra/kafka/feed-partitions.ts'
import type { KafkaReport } from '../../infra/kafka/log.ts'
import { KafkaSender } from '../../infra/kafka/sender.ts'
import { MemoryEventFeed } from '../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../infra/memory/event-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { openKafka } from './kafka.ts'
import { Life } from './mortal.ts'
import { RelayedStore } from './relayed-store.ts'

/** A log in memory that is relayed to topics of its own, and processes that follow it there. */
export class KafkaWorld {
  readonly log = new MemoryEventLog()
  readonly memory = new MemoryEventStore(this.log)
  readonly connection: KafkaConnection
  readonly sender: KafkaSender
  readonly deadLetters: DeadLetters
  readonly store: RelayedStore
  /** Errors and warnings that were told. */
  readonly told: string[] = []
  /** Refuses to read from the event store what Kafka should have. */
  isHistoryClosed = false
  /** How far the log was published, as the relay keeps it. */
  mark = async (): Promise<string | null> => this.store.mark
  readonly #clock = new SystemClock()

  constructor(brokers: readonly string[], partitions: number) {
    const report: KafkaReport = (level, _, message) => void this.told.push(`${level} ${message}`)
    this.connection = openKafka(brokers, { partitions }, report)
    this.sender = new KafkaSender(this.connection)
    this.deadLetters = new DeadLetters(this.connection, this.sender)
    const publisher = new KafkaEventPublisher(this.connection)
    this.store = new RelayedStore(this.memory, this.newFeed(), publisher)
  }

  newFeed(): MemoryEventFeed {
    return new MemoryEventFeed(this.log, this.#clock)
  }

  newProcess(): KafkaFeedPartitions {
    const { connection, deadLetters } = this
    return new KafkaFeedPartitions({
      ...{ connection, deadLetters, newHistory: () => this.#history() },
      lastCarried: async () => lastPublished(await this.mark()),
    })
  }

  async close(): Promise<void> {
    await this.store.close()
    await this.sender.close()
    await this.connection.close()
  }

  #history(): EventFeed {
    const life = new Life()
    life.before = ({ method }) =>
      method === 'readPage' && this.isHistoryClosed
        ? Promise.reject(new Error('Kafka does not have what it should'))
        : null
    return life.port(this.newFeed())
  }
}
