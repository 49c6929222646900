import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { KafkaConnection } from '../../../infra/kafka/connection.ts'
import type { TopicPlan } from '../../../infra/kafka/settings.ts'
import { SupervisedConsumer } from '../../../infra/kafka/supervised-consumer.ts'
import { AdjustedClock } from '../../support/adjusted-clock.ts'

const hourMs = 3_600_000
const topicOf = (topic: string): TopicPlan => {
  return { topic, partitions: 1, replication: 1, retentionMs: hourMs }
}
const topics = [topicOf('image'), topicOf('audio')]

let clock: AdjustedClock
/** Consumers of kafkajs that were made; each of them begins, and does nothing by itself. */
let made: number
let heartbeat: () => void
/** What Kafka says of the topics that there are. */
let available: () => Promise<readonly TopicPlan[]>
let member: SupervisedConsumer

beforeEach(async () => {
  clock = new AdjustedClock()
  made = 0
  available = async () => topics
  const consumer = {
    connect: async () => undefined,
    subscribe: async () => undefined,
    run: async () => undefined,
    disconnect: async () => undefined,
    on: (event: string, hear: () => void) => {
      if (event === 'consumer.heartbeat') heartbeat = hear
      return () => undefined
    },
  }
  const newConsumer = () => {
    made += 1
    return consumer
  }
  const connection = {
    clock,
    report: () => undefined,
    watch: () => () => undefined,
    availableTopics: () => available(),
    forgetTopics: () => undefined,
    newClient: () => ({ consumer: newConsumer }),
  } as unknown as KafkaConnection
  const hear = { joined: () => undefined, received: () => undefined }
  member = new SupervisedConsumer({
    ...{ connection, name: 'jobs', groupId: 'g', topics, ...hear },
  })
})

afterEach(async () => {
  const stopped = member.stop()
  await clock.advance(10_000)
  await stopped
})

async function begin(): Promise<void> {
  member.start()
  await clock.advance(1_000)
}

test('a consumer without one of its topics begins again when it is there', async () => {
  available = async () => topics.slice(1)
  await begin()
  heartbeat()
  await clock.advance(9_000)
  expect(made).toBe(1)
  available = async () => topics
  await clock.advance(2_000)
  expect(made).toBe(2)
})

test('a consumer that looks for a missing topic stops though nobody answers', async () => {
  available = async () => topics.slice(1)
  await begin()
  available = () => new Promise(() => undefined)
  await clock.advance(5_000)
  let hasStopped = false
  void member.stop().then(() => (hasStopped = true))
  await clock.advance(10_000)
  expect(hasStopped).toBe(true)
})

test('a consumer that stands still is replaced though the clock was set back', async () => {
  await begin()
  expect(made).toBe(1)
  clock.setBack(hourMs)
  await clock.advance(20_000)
  expect(made).toBe(1)
  expect(clock.now() - member.progressAtMs).toBeGreaterThanOrEqual(20_000)
  await clock.advance(20_000)
  expect(made).toBe(2)
})

test.each([hourMs, -hourMs])(
  'a consumer that moves on is left alone though the clock was set back by %i ms',
  async (backMs) => {
    await begin()
    clock.setBack(backMs)
    for (let n = 0; n < 60; n += 1) {
      heartbeat()
      await clock.advance(1_000)
    }
    expect(made).toBe(1)
    expect(clock.now() - member.progressAtMs).toBeLessThanOrEqual(1_000)
  },
)
