import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type pg from 'pg'
import { MemoryEventFeed } from '../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { sqlOver } from '../../infra/postgres/sql.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { usage } from '../../projections/usage.ts'
import type { LastCarried } from '../../src/profiles/profile.ts'
import { type ConsumerStand, standsOfConsumers } from '../../src/queries/consumer-stands.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

// Three shares, each with the events of one org.

const name = usage.name
let database: TestDatabase
let pool: pg.Pool
let clock: SimulatedClock
let log: MemoryEventLog
let carried: Map<string, LastCarried>

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 2, applicationName: 'weir-test' })
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

beforeEach(async () => {
  await pool.query('DELETE FROM projection_checkpoint')
  clock = new SimulatedClock()
  log = new MemoryEventLog()
  carried = new Map()
})

/** An event of the org, which is carried at once. Each takes a second. */
async function append(orgId: string, count = 1): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const at = new Date(clock.now()).toISOString()
    const id = `event ${log.events.length}`
    const event = { id, stream: `account-${orgId}`, revision: n, type: 'Counted', data: '{}' }
    const meta = JSON.stringify({ orgId, at, traceparent: null })
    log.add([{ ...event, meta, recordedMs: clock.now() }])
    carried.set(orgId, { position: String(log.events.length), at })
    await clock.advance(1_000)
  }
}

async function handled(share: string, to: number): Promise<void> {
  const { version } = usage
  const store = new PostgresReadModelStore(pool)
  const from = await store.checkpoint(name, version, 'live', share)
  await store.commit([{ name, version, share, from, to: String(to) }], [], 'live')
}

async function stand(): Promise<ConsumerStand | undefined> {
  const newFeed = () => new MemoryEventFeed(log, clock)
  const shareOf = ({ meta }: { meta: { orgId: string } }) => meta.orgId
  const ports = { sql: sqlOver(pool), newFeed, clock, partitions: { shareOf } }
  const lastCarried = async () => carried
  const stands = await standsOfConsumers({ ...ports, lastCarried, projections: [usage] })
  return stands.find((each) => each.name === name)
}

test('a share without events is not late, however far the others have come', async () => {
  await append('quiet')
  await handled('quiet', 1)
  await append('busy', 20)
  await handled('busy', 21)
  expect(await stand()).toMatchObject({ events: 0, oldestMs: 0 })
})

test('a share that stands still is told, though the others go on', async () => {
  await append('stuck')
  await handled('stuck', 1)
  await append('busy', 2)
  await append('stuck', 3)
  await append('busy', 2)
  await handled('busy', 8)
  expect(await stand()).toMatchObject({ events: 3, oldestMs: 5_000 })
})

test('what lies beyond every share is counted once', async () => {
  await append('stuck', 2)
  await append('busy')
  await handled('busy', 3)
  await append('stuck', 2)
  expect(await stand()).toMatchObject({ events: 4, oldestMs: 5_000 })
})

test('a share that stands still far behind the others is told by its newest event', async () => {
  await append('stuck')
  await handled('stuck', 1)
  await append('busy', 11_000)
  await append('stuck')
  await append('busy', 5)
  await handled('busy', log.events.length)
  expect(await stand()).toMatchObject({ events: 1, oldestMs: 6_000 })
})

test('a reader none of whose shares was ever handled is told', async () => {
  await append('busy', 7)
  expect(await stand()).toMatchObject({ events: 7, oldestMs: 7_000 })
})

test('shares of another division of the log do not count', async () => {
  await append('busy', 7)
  await handled('share of old', 1)
  await handled('busy', 7)
  expect(await stand()).toMatchObject({ events: 0, oldestMs: 0 })
})
