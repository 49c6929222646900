import { afterAll, beforeAll } from '@jest/globals'
import { KafkaAnnouncements } from '../../infra/kafka/announcements.ts'
import { KafkaAnnouncer } from '../../infra/kafka/announcer.ts'
import type { KafkaConnection } from '../../infra/kafka/connection.ts'
import { KafkaSender } from '../../infra/kafka/sender.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { openKafka } from '../support/kafka.ts'
import { kafkaBrokers, sharedMs } from '../support/kafka-broker.ts'
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
})
