import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { KafkaEventPublisher } from '../../infra/kafka/event-publisher.ts'
import type { DevFile } from '../../src/supervisor/dev-file.ts'
import { requireBuilt } from '../support/build.ts'
import { clusterEngines, type ClusterEngines } from '../support/cluster-engines.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { openKafka } from '../support/kafka.ts'
import { recordedEvents } from '../support/recorded-events.ts'

const program = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url))

let home: string
let engines: ClusterEngines
let database: TestDatabase

beforeAll(async () => {
  requireBuilt()
  home = mkdtempSync(join(tmpdir(), `weir-test-${process.pid}-setup-`))
  engines = await clusterEngines()
  database = await testDatabase()
}, 180_000)

afterAll(async () => {
  await database.close()
  await engines.stop()
  rmSync(home, { recursive: true })
})

const setup = async () => {
  const env = {
    ...engines.env,
    PATH: process.env['PATH'] ?? '',
    DATABASE_URL: database.url,
    WEIR_HOME: home,
    WEIR_PUBLIC_URL: 'https://weir.example.com/api',
  }
  await promisify(execFile)(process.execPath, [program, 'setup'], { env })
}

test('a database that is new gets nothing of what Kafka holds of another log', async () => {
  const brokers = engines.env['WEIR_KAFKA_BROKERS']?.split(',') ?? []
  const topicPrefix = engines.env['WEIR_KAFKA_TOPIC_PREFIX'] ?? ''
  const kafka = openKafka(brokers, { topicPrefix })
  const publication = await new KafkaEventPublisher(kafka).open()
  await publication.publish(recordedEvents(1, 1), null)
  await publication.close()
  const left = async () => {
    const ranges = await kafka.ranges(kafka.topics.events)
    return ranges.filter(({ low, high }) => high > low).length
  }
  expect(await left()).toBe(1)
  await setup()
  expect(await left()).toBe(0)
  await kafka.close()
}, 60_000)

test('the first credentials of a cluster come with the address that its clients call', async () => {
  await setup()
  const { baseUrl, adminUrl } = JSON.parse(readFileSync(join(home, 'dev.json'), 'utf8')) as DevFile
  expect(baseUrl).toBe('https://weir.example.com/api')
  expect(adminUrl).toBe('https://weir.example.com/api/admin')
}, 60_000)
