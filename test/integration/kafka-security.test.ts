import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KafkaSender } from '../../infra/kafka/sender.ts'
import type { KafkaLogin } from '../../infra/kafka/settings.ts'
import { KafkaSignals } from '../../infra/kafka/signals.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { openKafka } from '../support/kafka.ts'
import { sharedMs } from '../support/kafka-broker.ts'
import { brokerLogin, javaBroker, type JavaBroker } from '../support/kafka-java.ts'
import { testCertificate } from '../support/test-certificate.ts'
import { waitFor } from '../support/wait-for.ts'

describeKafka('a broker with TLS and logins', () => {
  let broker: JavaBroker

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), `weir-test-${process.pid}-kafka-`))
    broker = await javaBroker({ folder, ownerPid: process.pid })
    await broker.start()
  }, sharedMs)

  afterAll(async () => {
    await broker.stop()
  })

  const ssl = { ca: testCertificate }
  const open = (more: { ssl: boolean | { ca: string }; sasl: KafkaLogin | null }) =>
    openKafka([broker.secured], more)

  test.each(['plain', 'scram-sha-512'] as const)(
    'lets weir in by %s',
    async (mechanism) => {
      const connection = open({ ssl, sasl: { mechanism, ...brokerLogin } })
      const serves = () => connection.clusterId().catch(() => null)
      await waitFor('the broker to serve', serves, 120_000)
      const sender = new KafkaSender(connection)
      const signals = new KafkaSignals(connection, sender)
      const heard: unknown[] = []
      await signals.subscribe('job_cancel', (payload) => heard.push(payload))
      await signals.publish('job_cancel', { jobIds: ['j'] })
      await waitFor('the signal', () => heard.length > 0)
      await sender.close()
      await connection.close()
    },
    180_000,
  )

  test('refuses a wrong password', async () => {
    const sasl = { ...brokerLogin, password: 'wrong', mechanism: 'plain' as const }
    const connection = open({ ssl, sasl })
    await expect(connection.clusterId()).rejects.toThrow(/[Aa]uthentication/)
    await connection.close()
  }, 60_000)

  test('is refused when nobody vouches for its certificate', async () => {
    const connection = open({ ssl: true, sasl: { ...brokerLogin, mechanism: 'plain' } })
    await expect(connection.clusterId()).rejects.toThrow(/certificate/)
    await connection.close()
  }, 60_000)
})
