import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { type Kafka, KafkaJSAggregateError, KafkaJSProtocolError } from 'kafkajs'
import { KafkaConnection } from '../../../infra/kafka/connection.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'

type Asked = { readonly topics: readonly { readonly topic: string }[] }

/** What Kafka says of topics that it does not make, by their names. */
let refusals: Map<string, { readonly type: string; readonly retriable: boolean }>
/** Topics that it was asked to make, in each request. */
let asked: string[][]
let clock: SimulatedClock
let connection: KafkaConnection

class Connection extends KafkaConnection {
  override newClient(): Kafka {
    const present = new Set<string>()
    const admin = {
      connect: async () => undefined,
      disconnect: async () => undefined,
      listTopics: async () => [...present],
      createTopics: async ({ topics }: Asked) => {
        const names = topics.map(({ topic }) => topic)
        asked.push(names)
        const refused = names.filter((topic) => refusals.has(topic))
        for (const topic of names) if (!refused.includes(topic)) present.add(topic)
        if (refused.length > 0) throw new KafkaJSAggregateError('refused', refused.map(refusalOf))
      },
      fetchTopicMetadata: async () => ({ topics: [] }),
    }
    return { admin: () => admin } as unknown as Kafka
  }
}

function refusalOf(topic: string): Error {
  const error = new KafkaJSProtocolError(Object.assign(new Error(topic), refusals.get(topic)))
  return Object.assign(error, { topic })
}

beforeEach(() => {
  refusals = new Map()
  asked = []
  clock = new SimulatedClock()
  const client = { brokers: ['kafka:9092'], clientId: 'weir-test', ssl: false, sasl: null }
  const topics = { topicPrefix: 'weir', partitions: 1, replication: 1, retentionMs: 3_600_000 }
  connection = new Connection({ ...client, ...topics }, clock, () => undefined)
})

afterEach(async () => {
  await connection.close()
})

const available = async (...jobTypes: readonly string[]) => {
  const plans = jobTypes.map((type) => connection.topics.jobs(type))
  return (await connection.availableTopics(plans)).map(({ topic }) => topic)
}

test('a topic that is refused keeps no other away, and is asked for later', async () => {
  refusals.set('weir.jobs.a', { type: 'TOPIC_AUTHORIZATION_FAILED', retriable: false })
  expect(await available('a', 'b')).toEqual(['weir.jobs.b'])
  expect(await available('a', 'b')).toEqual(['weir.jobs.b'])
  expect(asked).toEqual([['weir.jobs.a', 'weir.jobs.b']])
  refusals.clear()
  await clock.advance(30_000)
  expect(await available('a', 'b')).toEqual(['weir.jobs.a', 'weir.jobs.b'])
})

test('a topic that was not made in time is asked for at once', async () => {
  refusals.set('weir.jobs.a', { type: 'REQUEST_TIMED_OUT', retriable: true })
  expect(await available('a')).toEqual([])
  refusals.clear()
  expect(await available('a')).toEqual(['weir.jobs.a'])
})

test('a topic that must be there is missed by name', async () => {
  refusals.set('weir.jobs.a', { type: 'POLICY_VIOLATION', retriable: false })
  const both = ['a', 'b'].map((type) => connection.topics.jobs(type))
  await expect(connection.ensureTopics(both)).rejects.toThrow('Kafka has no weir.jobs.a')
})
