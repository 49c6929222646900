import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { KafkaConnection } from '../../../infra/kafka/connection.ts'
import { SupervisedConsumer } from '../../../infra/kafka/supervised-consumer.ts'
import { AdjustedClock } from '../../support/adjusted-clock.ts'

const hourMs = 3_600_000
const topic = { topic: 'updates', partitions: 1, replication: 1, retentionMs: hourMs }

let clock: AdjustedClock
/** Consumers of kafkajs that were made; each of them begins, and does nothing by itself. */
let made: number
let heartbeat: () => void
let member: SupervisedConsumer

beforeEach(async () => {
  clock = new AdjustedClock()
  made = 0
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
    availableTopics: async () => [topic],
    forgetTopics: () => undefined,
    newClient: () => ({ consumer: newConsumer }),
  } as unknown as KafkaConnection
  const hear = { joined: () => undefined, received: () => undefined }
  member = new SupervisedConsumer({
    ...{ connection, name: 'updates', groupId: 'g', topics: [topic], ...hear },
  })
  member.start()
  await clock.advance(1_000)
})

afterEach(async () => {
  const stopped = member.stop()
  await clock.advance(10_000)
  await stopped
})

test('a consumer that stands still is replaced though the clock was set back', async () => {
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
    clock.setBack(backMs)
    for (let n = 0; n < 60; n += 1) {
      heartbeat()
      await clock.advance(1_000)
    }
    expect(made).toBe(1)
    expect(clock.now() - member.progressAtMs).toBeLessThanOrEqual(1_000)
  },
)
