import { afterAll, beforeAll, test } from '@jest/globals'
import { KafkaAnnouncements } from '../../infra/kafka/announcements.ts'
import { KafkaAnnouncer } from '../../infra/kafka/announcer.ts'
import type { KafkaConnection } from '../../infra/kafka/connection.ts'
import { KafkaSender } from '../../infra/kafka/sender.ts'
import { KafkaSignals } from '../../infra/kafka/signals.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { openKafka } from '../support/kafka.ts'
import { kafkaBrokers, sharedMs } from '../support/kafka-broker.ts'
import { waitFor } from '../support/wait-for.ts'
import { announcementsContract } from './announcements.contract.ts'

describeKafka('over Kafka', () => {
  let connection: KafkaConnection
  let sender: KafkaSender
  let announcements: KafkaAnnouncements
  let announcer: KafkaAnnouncer

  beforeAll(async () => {
    connection = openKafka(await kafkaBrokers())
    sender = new KafkaSender(connection)
    announcer = new KafkaAnnouncer(connection, sender)
    announcements = new KafkaAnnouncements(connection)
  }, sharedMs)

  afterAll(async () => {
    await sender.close()
    await connection.close()
  })

  announcementsContract(() => ({ announcer, announcements }))

  // Kafka refuses the name; so it refuses whoever may make no topics.
  const refused = 'no topic'

  test('a topic that cannot be made holds up neither other announcements nor signals', async () => {
    let count = 0
    const heard = (): void => void (count += 1)
    const stop = await new KafkaAnnouncements(connection).listen([refused, 'audio'], heard)
    const signals = new KafkaSignals(connection, sender)
    const told: unknown[] = []
    const unsubscribe = await signals.subscribe('job_cancel', (payload) => told.push(payload))
    await Promise.all([
      announcer.announce([refused, 'audio']),
      signals.publish('job_cancel', { jobIds: ['j'] }),
    ])
    await waitFor('the announcement', () => count > 0)
    await waitFor('the signal', () => told.length > 0)
    await Promise.all([stop(), unsubscribe()])
  })

  test('a topic that was deleted is made again, and no signal is lost by it', async () => {
    let count = 0
    const stop = await announcements.listen(['image'], () => void (count += 1))
    const signals = new KafkaSignals(connection, sender)
    const told: unknown[] = []
    const unsubscribe = await signals.subscribe('job_cancel', (payload) => told.push(payload))
    await announcer.announce(['image'])
    await waitFor('the announcement', () => count > 0)
    const admin = connection.newClient().admin()
    await admin.connect()
    await admin.deleteTopics({ topics: [connection.topics.jobs('image').topic] })
    await admin.disconnect()
    await Promise.all([
      announcer.announce(['image']),
      signals.publish('job_cancel', { jobIds: ['j'] }),
    ])
    await waitFor('the signal', () => told.length > 0)
    const before = count
    await waitFor('an announcement', async () => {
      await announcer.announce(['image'])
      return count > before
    })
    await Promise.all([stop(), unsubscribe()])
  })
})
