import { beforeAll } from '@jest/globals'
import { type KafkaFeedPartitions } from '../../infra/kafka/feed-partitions.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { kafkaBrokers, sharedMs } from '../support/kafka-broker.ts'
import { KafkaWorld } from '../support/kafka-world.ts'
import { feedPartitionsContract } from './feed-partitions.contract.ts'

describeKafka('as partitions of a topic', () => {
  let brokers: readonly string[]

  beforeAll(async () => {
    brokers = await kafkaBrokers()
  }, sharedMs)

  feedPartitionsContract(async () => {
    const world = new KafkaWorld(brokers, 4)
    const newProcess = (): KafkaFeedPartitions => world.newProcess()
    return { store: world.store, newProcess, close: () => world.close() }
  })
})
