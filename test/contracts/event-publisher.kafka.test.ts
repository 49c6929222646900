import { afterEach, beforeAll } from '@jest/globals'
import type { KafkaConnection } from '../../infra/kafka/connection.ts'
import { KafkaEventPublisher } from '../../infra/kafka/event-publisher.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { openKafka } from '../support/kafka.ts'
import { kafkaBrokers, sharedMs } from '../support/kafka-broker.ts'
import { publishedEvents, replaceEventsTopic } from '../support/kafka-topic.ts'
import { eventPublisherContract } from './event-publisher.contract.ts'

describeKafka('to Kafka', () => {
  let brokers: readonly string[]
  let connection: KafkaConnection

  beforeAll(async () => {
    brokers = await kafkaBrokers()
  }, sharedMs)

  afterEach(async () => {
    await connection.close()
  })

  eventPublisherContract(async () => {
    connection = openKafka(brokers)
    return {
      publisher: new KafkaEventPublisher(connection),
      published: async () => (await publishedEvents(connection)).flat(),
      replace: () => replaceEventsTopic(connection),
    }
  })
})
