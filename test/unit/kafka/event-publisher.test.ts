import { describe, expect, test } from '@jest/globals'
import type { ProducerBatch, RecordMetadata } from 'kafkajs'
import type { RecordedEvent } from '../../../domain/envelope.ts'
import type { KafkaConnection, PartitionRange } from '../../../infra/kafka/connection.ts'
import { KafkaEventPublisher } from '../../../infra/kafka/event-publisher.ts'
import { partitionOf } from '../../../infra/kafka/partition-of.ts'
import { decodeEvent } from '../../../infra/event-text.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'

const partitions = 2

const orgIn = (at: number): string => {
  for (let n = 0; ; n += 1) if (partitionOf(`org-${n}`, partitions) === at) return `org-${n}`
}

/** One event in each partition. */
function events(): readonly RecordedEvent[] {
  const log = new MemoryEventLog()
  for (const orgId of [orgIn(0), orgIn(1)]) {
    const event = { id: `of ${orgId}`, stream: `account-${orgId}`, revision: 0, type: 'Counted' }
    const meta = JSON.stringify({ orgId, traceparent: null })
    log.add([{ ...event, data: '{}', meta, recordedMs: 0 }])
  }
  return log.events.map(decodeEvent)
}

/** A publication through a producer of kafkajs that answers like that. */
async function publicationOver(
  answer: (batch: ProducerBatch) => readonly RecordMetadata[],
  ranges: readonly PartitionRange[] = [],
) {
  const producer = {
    connect: async () => undefined,
    disconnect: async () => undefined,
    sendBatch: async (batch: ProducerBatch) => answer(batch),
  }
  const connection = {
    clock: new SimulatedClock(),
    topics: { events: { topic: 'events' } },
    forgetTopics: () => undefined,
    ensureTopics: async () => undefined,
    clusterId: async () => 'cluster',
    eventsPartitions: async () => partitions,
    ranges: async () => ranges,
    newClient: () => ({ producer: () => producer }),
  }
  return await new KafkaEventPublisher(connection as unknown as KafkaConnection).open()
}

const confirmed = (partition: number): RecordMetadata => {
  return { topicName: 'events', partition, errorCode: 0, baseOffset: '7' }
}

test('a send is over when the broker of every partition has confirmed it', async () => {
  const publication = await publicationOver(() => [confirmed(1), confirmed(0)])
  const mark: unknown = JSON.parse(await publication.publish(events(), null))
  expect(mark).toEqual({
    cluster: 'cluster',
    ends: [
      { end: 8, last: '1', lastAt: '1970-01-01T00:00:00.000Z' },
      { end: 8, last: '2', lastAt: '1970-01-01T00:00:00.000Z' },
    ],
  })
})

test('a send of which kafkajs has left out a partition is an error', async () => {
  const publication = await publicationOver(() => [confirmed(0)])
  await expect(publication.publish(events(), null)).rejects.toThrow(
    'no broker has confirmed partition 1',
  )
})

describe('a mark of what is gone', () => {
  const empty = [0, 1].map((partition) => ({ partition, low: 0, high: 0 }))
  const end = { end: 20, last: '9', lastAt: null }
  const mark = JSON.stringify({ cluster: 'other', ends: [end, { ...end, last: '7' }] })

  test('is resumed: the next records name what was published before them', async () => {
    const sent: (string | undefined)[] = []
    const publication = await publicationOver(({ topicMessages }) => {
      for (const { headers } of topicMessages?.[0]?.messages ?? []) {
        sent.push(headers?.['weir-previous']?.toString())
      }
      return [confirmed(0), confirmed(1)]
    }, empty)
    const resumed = await publication.resume(mark)
    expect(JSON.parse(resumed ?? '')).toEqual({
      cluster: 'cluster',
      ends: [
        { end: 0, last: '9', lastAt: null },
        { end: 0, last: '7', lastAt: null },
      ],
    })
    await publication.publish(events(), resumed)
    expect(sent).toEqual(['9', '7'])
  })

  test('of a topic that was divided anew is not', async () => {
    const publication = await publicationOver(() => [], empty)
    const divided = JSON.stringify({ cluster: 'cluster', ends: [end] })
    expect(await publication.resume(divided)).toBeNull()
  })
})
