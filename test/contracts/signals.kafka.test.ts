import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { KafkaConnection } from '../../infra/kafka/connection.ts'
import { KafkaSender } from '../../infra/kafka/sender.ts'
import { KafkaSignals } from '../../infra/kafka/signals.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { openKafka } from '../support/kafka.ts'
import { kafkaBrokers, sharedMs } from '../support/kafka-broker.ts'
import { waitFor } from '../support/wait-for.ts'
import { signalsContract } from './signals.contract.ts'

describeKafka('over Kafka', () => {
  let connection: KafkaConnection
  let sender: KafkaSender
  let signals: KafkaSignals

  beforeAll(async () => {
    connection = openKafka(await kafkaBrokers())
    sender = new KafkaSender(connection)
    signals = new KafkaSignals(connection, sender)
  }, sharedMs)

  afterAll(async () => {
    await sender.close()
    await connection.close()
  })

  signalsContract(() => signals)

  test('every process hears, one that begins later from then on', async () => {
    const later = new KafkaSignals(connection, sender)
    const heard: unknown[] = []
    const heardLater: unknown[] = []
    const stop = await signals.subscribe('job_cancel', (payload) => heard.push(payload))
    await signals.publish('job_cancel', { jobIds: ['a'] })
    await later.subscribe('job_cancel', (payload) => heardLater.push(payload))
    await signals.publish('job_cancel', { jobIds: ['b'] })
    await waitFor('both', () => heard.length === 2 && heardLater.length > 0)
    expect(heardLater).toEqual([{ jobIds: ['b'] }])
    await stop()
  })

  test('when a consumer moved on the last time is told', async () => {
    const { clock } = connection
    const stop = await signals.subscribe('job_cancel', () => undefined)
    const since = clock.now()
    const moved = () => connection.progress().filter(({ progressAtMs }) => progressAtMs > since)
    await waitFor('the consumers to move on', () => moved().length > 0)
    expect(new Set(moved().map(({ consumer }) => consumer))).toEqual(new Set(['updates']))
    await stop()
  })

  test('a record that is no signal is ignored', async () => {
    const heard: unknown[] = []
    const stop = await signals.subscribe('job_cancel', (payload) => heard.push(payload))
    await sender.send({ to: connection.topics.updates, key: 'job_cancel', value: 'no JSON' })
    await signals.publish('job_cancel', { jobIds: ['j'] })
    await waitFor('the signal', () => heard.length > 0)
    expect(heard).toEqual([{ jobIds: ['j'] }])
    await stop()
  })

  test('large signals of one moment arrive, though no broker takes them in one batch', async () => {
    const heard: unknown[] = []
    const stop = await signals.subscribe('job_updates', ({ jobs }) => heard.push(jobs))
    const filler = 'x'.repeat(800_000)
    const sent = Array.from({ length: 8 }, (_, at) => `${at} ${filler}`)
    await Promise.all(sent.map((jobs) => signals.publish('job_updates', { jobs })))
    await waitFor('all of them', () => heard.length === sent.length)
    expect(heard).toEqual(sent)
    await stop()
  })

  test('a signal that no record can carry is dropped and counted', async () => {
    await signals.publish('job_progress', { jobId: 'j', message: 'x'.repeat(1_000_000) })
    expect(signals.dropped).toBe(1)
  })
})
