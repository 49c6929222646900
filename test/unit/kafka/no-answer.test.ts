import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { createServer, type Server, type Socket } from 'node:net'
import { KafkaConnection } from '../../../infra/kafka/connection.ts'
import { KafkaAnnouncements } from '../../../infra/kafka/announcements.ts'
import { KafkaSender } from '../../../infra/kafka/sender.ts'
import { KafkaSignals } from '../../../infra/kafka/signals.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'

/** A broker that takes connections and never says a word, as a stopped process does. */
let broker: Server
let sockets: Socket[]
let clock: SimulatedClock
let connection: KafkaConnection
let sender: KafkaSender

beforeEach(async () => {
  sockets = []
  broker = createServer((socket) => sockets.push(socket))
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve))
  const address = broker.address()
  const port = typeof address === 'object' && address ? address.port : 0
  clock = new SimulatedClock()
  const client = { brokers: [`127.0.0.1:${port}`], clientId: 'weir-test', ssl: false, sasl: null }
  const topics = { topicPrefix: 'test', partitions: 1, replication: 1, retentionMs: 3_600_000 }
  connection = new KafkaConnection({ ...client, ...topics }, clock, () => undefined)
  sender = new KafkaSender(connection)
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => broker.close(resolve))
  await sender.close()
  await connection.close()
}, 60_000)

test('a command that publishes a signal goes on without the broker', async () => {
  const signals = new KafkaSignals(connection, sender)
  const published = signals.publish('access_changed', { orgId: 'o' })
  await clock.advance(1_000)
  await expect(published).resolves.toBeUndefined()
}, 5_000)

test('whoever listens goes on without the broker', async () => {
  const signals = new KafkaSignals(connection, sender)
  const listening = [
    signals.subscribe('job_updates', () => undefined),
    signals.subscribe('access_changed', () => undefined),
    new KafkaAnnouncements(connection).listen(['image'], () => undefined),
  ]
  await clock.advance(10_000)
  const stops = await Promise.all(listening)
  await Promise.all(stops.map((stop) => stop()))
}, 5_000)
