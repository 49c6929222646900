import { beforeEach, expect, test } from '@jest/globals'
import { type Kafka, KafkaJSAggregateError } from 'kafkajs'
import { KafkaConnection } from '../../../infra/kafka/connection.ts'
import { SupervisedConsumer } from '../../../infra/kafka/supervised-consumer.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'

const settings = {
  ...{ brokers: ['127.0.0.1:9'], clientId: 'weir-test', ssl: false, sasl: null },
  ...{ topicPrefix: 'test', partitions: 1, replication: 1, retentionMs: 3_600_000 },
}

/** A connection to brokers of the test's own. */
class Connection extends KafkaConnection {
  /** Topics that are there. */
  readonly topicsThere = new Set<string>()
  /** Before topics are listed, and made. */
  listing = async (): Promise<void> => undefined
  making = async (): Promise<void> => undefined
  /** Of each topic. */
  partitions = [{ leader: 1 }]

  override newClient(): Kafka {
    const nothing = async (): Promise<void> => undefined
    const admin = {
      ...{ connect: nothing, disconnect: nothing },
      listTopics: async () => {
        await this.listing()
        return [...this.topicsThere]
      },
      createTopics: async ({ topics }: { topics: readonly { topic: string }[] }) => {
        await this.making()
        for (const { topic } of topics) this.topicsThere.add(topic)
      },
      fetchTopicMetadata: async () => ({ topics: [{ partitions: this.partitions }] }),
    }
    const on = () => () => undefined
    const life = { connect: nothing, subscribe: nothing, run: nothing, disconnect: nothing }
    return { admin: () => admin, consumer: () => ({ on, ...life }) } as unknown as Kafka
  }
}

let clock: SimulatedClock
let connection: Connection
let topics: ReturnType<KafkaConnection['topics']['jobs']>[]

beforeEach(() => {
  clock = new SimulatedClock()
  connection = new Connection(settings, clock, () => undefined)
  topics = [connection.topics.jobs('a'), connection.topics.jobs('b')]
})

test('a topic that is there is used, though others forget it while one is made', async () => {
  await connection.ensureTopics(topics.slice(0, 1))
  connection.making = async () => connection.forgetTopics()
  expect(await connection.availableTopics(topics)).toEqual(topics)
})

test('a consumer that looks for a missing topic does not stop late for it', async () => {
  const [, missing] = topics
  const about = { topic: missing!.topic, type: 'TOPIC_AUTHORIZATION_FAILED' }
  const refused = Object.assign(new Error('not authorized'), about)
  connection.topicsThere.add(topics[0]!.topic)
  connection.making = () => Promise.reject(new KafkaJSAggregateError('refused', [refused]))
  const consumer = new SupervisedConsumer({
    ...{ connection, topics, name: 'test', groupId: 'test' },
    ...{ joined: () => undefined, received: () => undefined },
  })
  consumer.start()
  await clock.advance(500)
  let isLooking = false
  connection.listing = () => {
    isLooking = true
    return new Promise(() => undefined)
  }
  connection.forgetTopics()
  await clock.advance(1_000)
  expect(isLooking).toBe(true)
  let isStopped = false
  void consumer.stop().then(() => (isStopped = true))
  await clock.advance(1_000)
  expect(isStopped).toBe(true)
})

test('a topic that was divided anew is told of with the setting that says otherwise', async () => {
  expect(await connection.eventsPartitions()).toBe(1)
  connection.partitions = [{ leader: 1 }, { leader: 1 }]
  await expect(connection.eventsPartitions()).rejects.toThrow(
    'test.events has 2 partitions, and WEIR_KAFKA_PARTITIONS says 1: nothing is carried',
  )
})
