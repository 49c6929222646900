import { beforeEach, describe, expect, test } from '@jest/globals'
import type { Recorded } from '../../../domain/catalog.ts'
import { keyOf } from '../../../domain/ports/read-model-store.ts'
import type { Row, Table } from '../../../domain/ports/read-model-store.ts'
import { MemoryDeliveryStore } from '../../../infra/memory/delivery-store.ts'
import { MemoryEventFeed } from '../../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { MemoryObjectStore } from '../../../infra/memory/object-store.ts'
import { MemoryReadModelStore } from '../../../infra/memory/read-model-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { creditHoldTable } from '../../../projections/balance.ts'
import { ledgerHeadTable } from '../../../projections/ledger.ts'
import { applyPage, knownEvents } from '../../../projections/page.ts'
import { projections } from '../../../projections/registry.ts'
import { usageEntryTable } from '../../../projections/usage.ts'
import { webhookOutboxTable } from '../../../projections/webhook-outbox.ts'
import { readRoot, writeRoot } from '../../../workers/audit/root.ts'
import { checkInvariants } from '../../../workers/invariants.ts'
import * as account from '../../support/account-history.ts'
import * as job from '../../support/job-history.ts'
import { noAlarm, Recorder } from '../../support/recorded.ts'

const all = projections({ alarm: noAlarm, publicUrl: 'http://weir.test' })
const clock = new SimulatedClock()
const secretKey = Buffer.alloc(32, 1)

let log: MemoryEventLog
let store: MemoryReadModelStore
let deliveries: MemoryDeliveryStore
let deliveriesKeptMs: number | null
let objects: MemoryObjectStore
let recorder: Recorder

beforeEach(() => {
  log = new MemoryEventLog()
  store = new MemoryReadModelStore()
  deliveries = new MemoryDeliveryStore(clock)
  deliveriesKeptMs = null
  objects = new MemoryObjectStore({ baseUrl: 'http://weir.test', secretKey, clock })
  recorder = new Recorder()
})

const money = (orgId: string, holdId: string) => [
  { ...account.openAccount(), orgId },
  account.grant(`grant-${holdId}`, 1_000n),
  account.hold(holdId, 500n),
  account.use(`usage-${holdId}`, holdId, 20n),
  account.settle(holdId),
]

/** An org with a job that has succeeded, and its webhook. */
function life(orgId: string, jobId: string): readonly Recorded[] {
  const spec = { jobId, orgId, webhook: { url: 'https://a.test/hook', events: null } }
  const result = { ...job.result, key: `results/${jobId}`, bytes: 0 }
  const end = { attempt: 1, epoch: 1, result, holdId: jobId, finishedAt: job.at(9) }
  return [
    ...account.historyOf(...money(orgId, jobId)).map((event) => recorder.account(event, orgId)),
    ...[job.submitted(spec), job.started(1)].map((event) => recorder.job(jobId, event, orgId)),
    recorder.job(jobId, { type: 'JobSucceeded', data: end }, orgId),
  ]
}

async function append(events: readonly Recorded[]): Promise<void> {
  const events_ = new MemoryEventStore(log)
  for (const { stream, revision, position: _, recordedAt: __, ...event } of events) {
    await events_.append(stream, revision - 1, [event])
  }
}

/** Appends them, and carries them into the read models. */
async function write(events: readonly Recorded[]): Promise<void> {
  await append(events)
  const feed = new MemoryEventFeed(log, clock)
  const page = await feed.readPage(feed.start, 1_000)
  const rows = await applyPage(all, knownEvents(page.events), store, 'live')
  const moves = all.map(({ name, version }) => ({ name, version, from: null, to: page.position }))
  await store.commit(moves, rows.changes(), 'live')
}

async function put<R extends Row>(table: Table<R>, row: R): Promise<void> {
  await store.commit([], [{ table, put: [row], remove: [] }], 'live')
}

async function broken(isSending = false, isDrained = true): Promise<readonly string[]> {
  const readModels = {
    ...{ store, deliveries, projections: all, nowMs: clock.now(), isSending },
    ...{ shareOf: () => '', deliveriesKeptMs },
  }
  const feed = new MemoryEventFeed(log, clock)
  const report = await checkInvariants({ feed, objects: null, readModels, isDrained })
  return report.violations.map(({ invariant, detail }) => `${invariant}: ${detail}`)
}

async function brokenRoot(): Promise<readonly string[]> {
  const feed = new MemoryEventFeed(log, clock)
  const report = await checkInvariants({ feed, objects, readModels: null, isDrained: true })
  return report.violations.flatMap(({ invariant, detail }) => (invariant === 'I13' ? detail : []))
}

describe('of what the log says, the read models', () => {
  beforeEach(async () => {
    await write([...life('acme', 'j1'), ...life('zoo', 'j2')])
  })

  test('break nothing when they say the same', async () => {
    expect(await broken()).toEqual([])
  })

  test('show a row that names the job of another org', async () => {
    const [row] = store.all(usageEntryTable).filter(({ orgId }) => orgId === 'acme')
    await store.commit([], [{ table: usageEntryTable, put: [], remove: ['usage-j1'] }], 'live')
    await store.commit(
      [],
      [{ table: usageEntryTable, put: [{ ...row, jobId: 'j2' }], remove: [] }],
      'live',
    )
    expect(await broken()).toEqual(["I10: job j2: it is zoo's"])
  })

  test('show a row of which no event knows', async () => {
    const [row] = store.all(creditHoldTable)
    await put(creditHoldTable, { ...row, holdId: 'made-up', jobId: 'made-up' } as never)
    expect(await broken()).toEqual(['I10: job made-up: no event of the log names it'])
  })

  test('show a chain that is not that of the log', async () => {
    const [row] = store.all(ledgerHeadTable)
    await put(ledgerHeadTable, { ...row, hash: 'f'.repeat(64) } as never)
    expect(await broken()).toEqual(['I13: its chain has another hash than ledger_head says'])
    await put(ledgerHeadTable, { ...row, revision: 17 } as never)
    expect(await broken()).toEqual(['I13: it ends at revision 4, ledger_head knows 17'])
  })

  test('show a transition that nobody was told of', async () => {
    const [row] = store.all(webhookOutboxTable)
    const remove = [keyOf(webhookOutboxTable, row ?? {})]
    await store.commit([], [{ table: webhookOutboxTable, put: [], remove }], 'live')
    expect(await broken()).toEqual(['I7: no delivery was made of it'])
  })

  test('may have forgotten deliveries of what happened long ago', async () => {
    const [row] = store.all(webhookOutboxTable)
    const remove = [keyOf(webhookOutboxTable, row ?? {})]
    await store.commit([], [{ table: webhookOutboxTable, put: [], remove }], 'live')
    deliveriesKeptMs = clock.now()
    expect(await broken()).toEqual(['I7: no delivery was made of it'])
    deliveriesKeptMs = 0
    expect(await broken()).toEqual([])
  })
})

test('what an endpoint is not told since it was enabled again is found', async () => {
  const commands = [
    ...[{ ...account.openAccount(), orgId: 'acme' }, account.registerEndpoint('e1')],
    ...[account.disableEndpoint('e1'), account.enableEndpoint('e1')],
    ...[account.grant('g1', 1_000n), account.hold('j1', 500n), account.settle('j1')],
  ]
  const money = account.historyOf(...commands).map((event) => recorder.account(event))
  const end = { attempt: 0, holdId: 'j1', finishedAt: job.at(9) }
  const canceled = { type: 'JobCanceled', data: end } as const
  const spec = { jobId: 'j1', orgId: 'acme', webhook: null }
  await write([
    ...money,
    ...[job.submitted(spec), canceled].map((each) => recorder.job('j1', each)),
  ])
  expect(await broken()).toEqual([])
  const remove = store.all(webhookOutboxTable).map((row) => keyOf(webhookOutboxTable, row))
  expect(remove).toHaveLength(1)
  await store.commit([], [{ table: webhookOutboxTable, put: [], remove }], 'live')
  expect(await broken()).toEqual(['I7: no delivery was made of it'])
})

test('read models that have stopped are found, where somebody carries the log', async () => {
  await write(life('acme', 'j1'))
  expect(await broken(true)).toEqual([])
  await append(life('zoo', 'j2'))
  expect(await broken(false)).toEqual([])
  const told = await broken(true)
  expect(told).toHaveLength(all.length)
  for (const each of told) expect(each).toBe('I14: it is behind 8 events of the log')
  expect(await broken(true, false)).toEqual([])
})

test('a delivery that nobody sends is found, where somebody should', async () => {
  await write(life('acme', 'j1'))
  const nowMs = clock.now() - 90_000
  const about = { orgId: 'acme', jobId: 'j1', endpointId: null, url: 'https://a.test/hook' }
  const told = { eventType: 'job.started', sequence: 1, body: '{}', nowMs }
  await deliveries.enqueue([{ deliveryId: 'd1', ...about, ...told }])
  expect(await broken(false)).toEqual([])
  expect(await broken(true)).toEqual(['I7: it is due for 90 s'])
})

test('an event of one org that names the job of another is found', async () => {
  const stolen = account
    .historyOf(...money('zoo', 'j1'))
    .map((event) => recorder.account(event, 'zoo'))
  await write([...life('acme', 'j1'), ...stolen])
  expect((await broken())[0]).toMatch(
    /^I10: CreditsGranted .* grant grant-j1 is acme's, not zoo's$/,
  )
})

describe('the root of a day', () => {
  const options = () => ({ store, projections: all, objects, clock })

  beforeEach(async () => {
    await write([...life('acme', 'j1'), ...life('zoo', 'j2')])
  })

  test('is written once, and the next day’s builds upon it', async () => {
    const first = await writeRoot(options())
    expect(first?.accounts.map(({ stream }) => stream)).toEqual(['account-acme', 'account-zoo'])
    expect(await writeRoot(options())).toBeNull()
    await clock.advance(86_400_000)
    const second = await writeRoot(options())
    expect(second?.prev).toBe(first?.hash)
    expect((await readRoot(objects))?.root).toEqual(second)
    expect((await readRoot(objects, first?.day))?.root).toEqual(first)
    expect(await readRoot(objects, '1999-12-31')).toBeNull()
  })

  test('is what the log has, and shows when that was changed', async () => {
    await writeRoot(options())
    expect(await brokenRoot()).toEqual([])
    log = new MemoryEventLog()
    store = new MemoryReadModelStore()
    recorder = new Recorder()
    await write(life('acme', 'j3'))
    expect(await brokenRoot()).toEqual([
      expect.stringMatching(
        /^its chain has another hash than the audit root of \d{4}-\d\d-\d\d says$/,
      ),
      expect.stringMatching(/^it ends at revision -1, the audit root of .* knows 4$/),
    ])
  })

  test('does not count when it was changed itself', async () => {
    const root = await writeRoot(options())
    const text = JSON.stringify({ ...root, prev: 'f'.repeat(64) })
    const key = `audit/roots/${root?.day}`
    const put = { contentType: 'application/json', bytesMax: 10_000 }
    await objects.put(key, Buffer.from(text), put)
    expect(await brokenRoot()).toEqual([`The root of ${root?.day} was changed.`])
  })
})
