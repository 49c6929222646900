import { randomUUID } from 'node:crypto'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { KafkaConnection } from '../../infra/kafka/connection.ts'
import { decodeEventRecord } from '../../infra/kafka/event-record.ts'
import { SupervisedConsumer } from '../../infra/kafka/supervised-consumer.ts'
import { waitFor } from './wait-for.ts'

/** Everything in the events' topic, partition by partition. */
export async function publishedEvents(connection: KafkaConnection): Promise<RecordedEvent[][]> {
  const { events } = connection.topics
  const ranges = await connection.ranges(events)
  const published = ranges.map((): RecordedEvent[] => [])
  const consumer = new SupervisedConsumer({
    ...{ connection, name: 'look', groupId: `look-${randomUUID()}`, topics: [events] },
    joined: () => ranges.forEach(({ partition }) => consumer.seek(events.topic, partition, 0)),
    received: ({ partition, messages }) =>
      published[partition]?.push(...messages.map((each) => decodeEventRecord(each).event)),
  })
  consumer.start()
  await waitFor('all records', () =>
    ranges.every(({ high, partition }) => published[partition]?.length === high),
  )
  await consumer.stop()
  return published
}

/** Puts an empty topic in the place of the events' topic. */
export async function replaceEventsTopic(connection: KafkaConnection): Promise<void> {
  const { events } = connection.topics
  const admin = connection.newClient().admin()
  await admin.connect()
  await admin.deleteTopics({ topics: [events.topic] })
  await waitFor('the topic to be gone', async () => {
    return !(await admin.listTopics()).includes(events.topic)
  })
  await admin.disconnect()
  await waitFor('the new topic', async () => {
    connection.forgetTopics()
    await connection.ensureTopics([events]).catch(() => undefined)
    return await connection.ranges(events).then(
      (ranges) => ranges.every(({ high }) => high === 0),
      () => false,
    )
  })
}
