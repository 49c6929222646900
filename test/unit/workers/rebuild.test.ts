import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { accountStream } from '../../../domain/account/account.ts'
import { balance } from '../../../projections/balance.ts'
import { jobQueue, jobQueueTable } from '../../../projections/job-queue.ts'
import { jobStatus, jobStatusTable } from '../../../projections/job-status.ts'
import type { Projection } from '../../../projections/projection.ts'
import { webhookOutbox } from '../../../projections/webhook-outbox.ts'
import type { Table } from '../../../domain/ports/read-model-store.ts'
import { sandboxRun } from '../../../workers/handlers/sandbox-run.ts'
import { rebuild, rebuildOutdated } from '../../../workers/rebuild.ts'
import type { LoopReport } from '../../../workers/loop.ts'
import { limit, setLimits } from '../../support/account-history.ts'
import { MemoryWeir } from '../../support/memory-weir.ts'
import { Life } from '../../support/mortal.ts'
import { noAlarm } from '../../support/recorded.ts'

let weir: MemoryWeir

beforeEach(async () => {
  weir = await new MemoryWeir().open()
})

afterEach(async () => {
  await weir.stop()
})

const rowsOf = (table: Table) =>
  weir.readModels
    .all(table)
    .map((row) => JSON.stringify(row))
    .sort()

function build(projection: Projection, life = new Life()): Promise<void> {
  const { report, readModels } = weir
  const store = life.port(readModels)
  // Some pages, whatever the history.
  return rebuild({ feed: weir.newFeed(), store, projection, report, pageEvents: 50 })
}

/** Jobs that end in all ways, and some that still live. */
async function someHistory(): Promise<void> {
  weir.startBackground()
  weir.startWorker({ jobTypes: [sandboxRun] })
  const limits = [limit({ kind: 'concurrency', window: null, max: 100 })]
  await weir.pipelines.accounts.handle(
    accountStream('acme'),
    setLimits(limits),
    weir.context('acme'),
  )
  const input = { steps: 2, stepMs: 100 }
  for (let n = 0; n < 10; n += 1) await weir.submit('sandbox.run', { input })
  const fail = { atStep: 2, times: 1, retryable: false }
  await weir.submit('sandbox.run', { input: { ...input, fail } })
  await weir.submit('unknown.type', { deadlineSeconds: 5 })
  await weir.pass(10)
  await weir.submit('unknown.type')
  await weir.pass(1)
}

test('a rebuilt read model equals the live one', async () => {
  await someHistory()
  expect(rowsOf(jobStatusTable).length).toBeGreaterThan(0)
  for (const projection of weir.projections.filter(({ rebuildable }) => rebuildable)) {
    const before = projection.tables.map(rowsOf)
    await build(projection)
    expect(projection.tables.map(rowsOf)).toEqual(before)
  }
})

test('what was wrong in the rows is right again', async () => {
  await someHistory()
  const before = rowsOf(jobStatusTable)
  const { jobId } = weir.readModels.all(jobStatusTable)[0] as { jobId: string }
  const remove = { table: jobStatusTable, put: [], remove: [jobId] }
  await weir.readModels.commit([], [remove], 'live')
  expect(rowsOf(jobStatusTable)).not.toEqual(before)
  await build(jobStatus(noAlarm))
  expect(rowsOf(jobStatusTable)).toEqual(before)
})

test('the projector goes on with the rebuilt rows', async () => {
  await someHistory()
  await build(jobQueue)
  const jobId = await weir.submit('unknown.type')
  await weir.pass(1)
  expect(weir.readModels.all(jobQueueTable).map((row) => row['jobId'])).toContain(jobId)
  expect(weir.told.filter(({ level }) => level === 'warn')).toEqual([])
})

test('a live read model that moves on meanwhile is caught up with', async () => {
  await someHistory()
  const life = new Life()
  let moves = 5
  life.before = ({ method }) => {
    if (method !== 'swap' || moves-- <= 0) return null
    return weir.submit('unknown.type').then(() => weir.pass(0.1))
  }
  await build(jobStatus(noAlarm), life)
  expect(moves).toBeLessThan(0)
  expect(weir.readModels.all(jobStatusTable)).toHaveLength(13 + 5)
})

test('a live read model that nobody moves is replaced where it stands', async () => {
  await someHistory()
  await weir.stop()
  const before = rowsOf(jobStatusTable)
  await weir.submit('unknown.type')
  await build(jobStatus(noAlarm))
  expect(rowsOf(jobStatusTable)).toEqual(before)
})

test('a read model of several shares is built up to the one that is furthest', async () => {
  for (let n = 0; n < 5; n += 1) await weir.submit('unknown.type')
  const share = (of: string, to: string) =>
    weir.readModels.commit(
      [{ name: 'job_status', version: 1, share: of, from: null, to }],
      [],
      'live',
    )
  await share('a', '6')
  await share('b', '11')
  await share('c', '9')
  await build(jobStatus(noAlarm))
  expect(await weir.readModels.checkpoint('job_status', 1, 'live')).toBe('11')
  expect(rowsOf(jobStatusTable)).toHaveLength(4)
})

test('a new version is built up to the newest event and replaces the old one', async () => {
  await someHistory()
  await weir.stop()
  const late = await weir.submit('unknown.type')
  const next = { ...jobStatus(noAlarm), version: 2 }
  await build(next)
  expect(rowsOf(jobStatusTable).join()).toContain(late)
  const position = await weir.newFeed().head()
  expect(await weir.readModels.checkpoint('job_status', 2, 'live')).toBe(position)
})

test('only what this version shapes anew is rebuilt at a start', async () => {
  const { readModels } = weir
  const began: unknown[] = []
  const report: LoopReport = (_, { projection }, message) => {
    if (message === 'rebuild began') began.push(projection)
  }
  const { clock } = weir
  const start = (projections: readonly Projection[]) =>
    rebuildOutdated({ feed: weir.newFeed(), store: readModels, clock, report }, projections)
  await start([jobQueue, jobStatus(noAlarm)])
  expect(began).toEqual([])
  await someHistory()
  await start([jobQueue, { ...jobStatus(noAlarm), version: 2 }])
  expect(began).toEqual(['job_status'])
  expect(await readModels.checkpoint('job_status', 2, 'live')).not.toBeNull()
})

describe('of two processes that start with a new version', () => {
  const next = { ...jobStatus(noAlarm), version: 2 }

  const start = (life = new Life()) => {
    const { report, readModels, clock } = weir
    const store = life.port(readModels)
    const options = { feed: weir.newFeed(), store, clock, report, pageEvents: 50 }
    return rebuildOutdated(options, [jobQueue, next])
  }

  test('the one that is overtaken waits for the other', async () => {
    await someHistory()
    await weir.stop()
    const life = new Life()
    let commits = 0
    life.before = ({ method }) => (method === 'commit' && ++commits === 2 ? start() : null)
    const overtaken = start(life)
    await weir.pass(2)
    await overtaken
    expect(commits).toBe(2)
    expect(await weir.readModels.checkpoint('job_status', 2, 'live')).not.toBeNull()
  })

  test('the one that is overtaken waits as long as the other one goes on', async () => {
    await someHistory()
    await weir.stop()
    const [life, slow] = [new Life(), new Life()]
    let [begun, commits] = [0, 0]
    slow.before = ({ method }) => {
      if (method === 'beginRebuild') begun += 1
      return method === 'commit' ? weir.clock.sleep(50_000) : null
    }
    let other = Promise.resolve()
    life.before = ({ method }) => {
      if (method === 'beginRebuild') begun += 1
      if (method !== 'commit' || ++commits !== 2) return null
      other = start(slow)
      return weir.clock.sleep(1_000)
    }
    const overtaken = start(life)
    await weir.pass(600)
    await Promise.all([overtaken, other])
    expect(begun).toBe(2)
  })

  test('the one that is overtaken builds after all when the other has died', async () => {
    await someHistory()
    await weir.stop()
    const life = new Life()
    let commits = 0
    life.before = ({ method }) => {
      if (method !== 'commit' || ++commits !== 2) return null
      return weir.readModels.beginRebuild('job_status', next.tables)
    }
    const overtaken = start(life)
    await weir.pass(70)
    await overtaken
    expect(commits).toBeGreaterThan(2)
    expect(await weir.readModels.checkpoint('job_status', 2, 'live')).not.toBeNull()
  })
})

test('a read model of an empty log is empty', async () => {
  const empty = new MemoryWeir()
  const projection = balance(noAlarm)
  const { readModels: store, report } = empty
  await rebuild({ feed: empty.newFeed(), store, projection, report })
  expect(await store.checkpoint('balance', 1, 'live')).toBe('0')
})

test('rows that are work to do are never rebuilt', async () => {
  await someHistory()
  const refused = build(webhookOutbox('http://weir.test'))
  await expect(refused).rejects.toThrow(/webhook_outbox cannot be rebuilt: .* second time/)
})

test.each([
  ['between two pages', 'commit', 2],
  ['before it took its place', 'swap', 1],
] as const)('a rebuild that is overtaken %s gives up', async (_, moment, number) => {
  for (let n = 0; n < 40; n += 1) await weir.submit('unknown.type')
  weir.startProjector()
  await weir.pass(1)
  const before = rowsOf(jobStatusTable)
  const life = new Life()
  let calls = 0
  life.before = ({ method }) =>
    method === moment && ++calls === number ? build(jobStatus(noAlarm)) : null
  const overtaken = build(jobStatus(noAlarm), life)
  await expect(overtaken).rejects.toThrow('Another rebuild of job_status has begun')
  expect(rowsOf(jobStatusTable)).toEqual(before)
})
