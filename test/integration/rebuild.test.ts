import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type pg from 'pg'
import { accountStream } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import { openPipelines } from '../../domain/aggregates.ts'
import type { Pipelines } from '../../domain/aggregates.ts'
import { jobStream } from '../../domain/job/job.ts'
import type { JobCommand } from '../../domain/job/job.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { MemorySnapshotStore } from '../../infra/memory/snapshot-store.ts'
import { PostgresEventFeed } from '../../infra/postgres/event-feed.ts'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { PostgresLeaseStore } from '../../infra/postgres/lease-store.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { SystemIds } from '../../infra/system/ids.ts'
import { applyPage, knownEvents } from '../../projections/page.ts'
import type { Projection } from '../../projections/projection.ts'
import { projections } from '../../projections/registry.ts'
import type { LoopReport } from '../../workers/loop.ts'
import { projector } from '../../workers/projector.ts'
import { rebuild } from '../../workers/rebuild.ts'
import * as account from '../support/account-history.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import * as job from '../support/job-history.ts'
import { noAlarm } from '../support/recorded.ts'
import { waitFor } from '../support/wait-for.ts'

// Read models on Postgres: every table takes its rows, and each is rebuilt while a writer, a
// projector and claims go on.

const all = projections({ alarm: noAlarm, publicUrl: 'http://weir.test' })
const clock = new SystemClock()
const ids = new SystemIds()
const told: { level: string; message: string; err: unknown }[] = []
const report: LoopReport = (level, fields, message) => {
  if (level !== 'info') told.push({ level, message, err: fields['err'] })
}

let database: TestDatabase
let pool: pg.Pool
let listener: PostgresListener
let store: PostgresReadModelStore
let pipelines: Pipelines

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 8, applicationName: 'weir-test' })
  listener = new PostgresListener(database.url, 'weir-test')
  store = new PostgresReadModelStore(pool)
  const observer = { appended: () => undefined, conflicted: () => undefined }
  const ports = { store: new PostgresEventStore(pool), snapshots: new MemorySnapshotStore() }
  pipelines = openPipelines({ ...ports, clock, ids, observer })
})

afterAll(async () => {
  await listener.close()
  await pool.end()
  await database.close()
})

const newFeed = () => new PostgresEventFeed(pool, listener)

const context = (orgId: string) => {
  const commandId = ids.next()
  return { commandId, orgId, actor: 'key:k1', correlationId: commandId, traceparent: null }
}

const onAccount = (orgId: string, command: AccountCommand) =>
  pipelines.accounts.handle(accountStream(orgId), command, context(orgId))

const onJob = (jobId: string, command: JobCommand, orgId: string) =>
  pipelines.jobs.handle(jobStream(jobId), command, context(orgId))

/** The life of one job, of one of many kinds, with its money. */
async function oneLife(orgId: string, number: number): Promise<void> {
  const jobId = ids.next()
  const webhook = number % 2 === 0 ? { url: 'https://acme.test/hook', events: null } : null
  const metadata = { number, text: `"ü" \u0000 ${'x'.repeat(number % 50)}` }
  const spec = { ...job.jobSpec, jobId, orgId, webhook, metadata }
  const use = { ...account.usage(ids.next(), jobId, 7n), units: { requests: String(number) } }
  await onAccount(orgId, account.hold(jobId, 50n))
  await onJob(jobId, { type: 'SubmitJob', spec }, orgId)
  if (number % 5 === 0) return
  await onJob(jobId, job.start(1), orgId)
  await onAccount(orgId, { type: 'RecordUsage', usage: use, at: job.at(3) })
  await onJob(jobId, job.completeStep('s1'), orgId)
  if (number % 5 === 1) return
  const end = [job.succeed(1), job.endAttempt(1, { error: job.fatal }), job.confirmCancel(1)]
  await onJob(jobId, end[number % 3]!, orgId)
  await onAccount(orgId, account.settle(jobId))
  if (number % 3 === 1) await onJob(jobId, job.requeue(1), orgId)
}

async function openOrg(orgId: string): Promise<void> {
  await onAccount(orgId, { ...account.openAccount(100n), orgId })
  await onAccount(orgId, account.grant(ids.next(), 10n ** 12n, { expiresAt: job.at(9e6) }))
  await onAccount(orgId, { ...account.issueKey(ids.next()) })
}

/** What each table must hold: the log, folded in memory. */
async function foldedRows(): Promise<MemoryReadModelStore> {
  const memory = new MemoryReadModelStore()
  const feed = newFeed()
  let from = feed.start
  for (;;) {
    const { events, position } = await feed.readPage(from, 1_000)
    if (position === from) return memory
    const rows = await applyPage(all, knownEvents(events), memory, 'live')
    await memory.commit([], rows.changes(), 'live')
    from = position
  }
}

async function expectRowsAsFolded(
  projection: Projection,
  memory: MemoryReadModelStore,
): Promise<void> {
  for (const table of projection.tables) {
    const expected = memory.all(table)
    const keys = expected.map((row) => row[table.key] as string)
    const byKey = new Map(
      (await store.load(table, keys, 'live')).map((row) => [row[table.key] as string, row]),
    )
    expect(keys.map((key) => byKey.get(key))).toEqual(expected)
    const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${table.name}`)
    expect({ table: table.name, ...rows[0] }).toEqual({ table: table.name, count: keys.length })
  }
}

test('read models are what the log says, also while they are rebuilt', async () => {
  const orgs = ['org-a', 'org-b', 'org-c']
  await Promise.all(orgs.map(openOrg))
  const life = { isOver: false, count: 0 }
  const write = async (orgId: string): Promise<void> => {
    while (!life.isOver) await oneLife(orgId, (life.count += 1))
  }
  const leases = new PostgresLeaseStore(pool)
  const claim = async (): Promise<void> => {
    while (!life.isOver) {
      const now = clock.now()
      const jobTypes = ['image.upscale']
      const claim = { owner: 'w1', jobTypes, limit: 5, now, leaseMs: 1_000 }
      const claimed = (await leases.claim(claim)).leases
      await leases.release(claimed.map((lease) => ({ ...lease, revision: 0 })))
      await clock.sleep(5)
    }
  }
  const committed = () => undefined
  const live = projector({ feed: newFeed(), store, projections: all, clock, report, committed })
  live.start()
  const work = Promise.all([...orgs.flatMap((orgId) => [write(orgId), write(orgId)]), claim()])
  await waitFor('a log of some length', () => life.count > 60, 30_000)

  for (const projection of all.filter(({ rebuildable }) => rebuildable)) {
    const before = life.count
    await rebuild({ feed: newFeed(), store, projection, report })
    await waitFor('the writers to go on', () => life.count > before + 5)
  }
  life.isOver = true
  await work
  const head = await newFeed().head()
  const isThere = async ({ name, version }: Projection) =>
    (await store.checkpoint(name, version, 'live')) === head
  for (const projection of all) await waitFor('the projector', () => isThere(projection))
  await live.stop(AbortSignal.abort())

  const folded = await foldedRows()
  for (const projection of all) await expectRowsAsFolded(projection, folded)
  expect(told.filter(({ level }) => level === 'error')).toEqual([])
})
