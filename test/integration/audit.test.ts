import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type pg from 'pg'
import { accountStream } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import { openPipelines } from '../../domain/aggregates.ts'
import { jobStream } from '../../domain/job/job.ts'
import type { JobCommand } from '../../domain/job/job.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { MemorySnapshotStore } from '../../infra/memory/snapshot-store.ts'
import { PostgresEventFeed } from '../../infra/postgres/event-feed.ts'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { SystemIds } from '../../infra/system/ids.ts'
import { projections } from '../../projections/registry.ts'
import { exportLog } from '../../workers/audit/export-log.ts'
import { replayAudit } from '../../workers/audit/replay.ts'
import { verifyExport } from '../../workers/audit/verify-export.ts'
import { projector } from '../../workers/projector.ts'
import * as account from '../support/account-history.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import * as job from '../support/job-history.ts'
import { noAlarm } from '../support/recorded.ts'
import { waitFor } from '../support/wait-for.ts'

// The audit of a real log: pipelines and a projector on Postgres, then the file and the replay.

const orgs = ['org-a', 'org-b']
const jobsPerOrg = 20
const all = projections({ alarm: noAlarm, publicUrl: 'http://weir.test' })
const clock = new SystemClock()
const ids = new SystemIds()

let database: TestDatabase
let pool: pg.Pool
let listener: PostgresListener
let store: PostgresReadModelStore
let folder: string

const newFeed = () => new PostgresEventFeed(pool, listener)

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weir-audit-'))
  database = await testDatabase()
  pool = openPool(database.url, { max: 8, applicationName: 'weir-test' })
  listener = new PostgresListener(database.url, 'weir-test')
  store = new PostgresReadModelStore(pool)
  await Promise.all(orgs.map(writeOrg))
  await project()
}, 60_000)

afterAll(async () => {
  await listener.close()
  await pool.end()
  await database.close()
  rmSync(folder, { recursive: true })
})

/** An org, and the lives of its jobs: some end, some are still running. */
async function writeOrg(orgId: string): Promise<void> {
  const observer = { appended: () => undefined, conflicted: () => undefined }
  const ports = { store: new PostgresEventStore(pool), snapshots: new MemorySnapshotStore() }
  const { accounts, jobs } = openPipelines({ ...ports, clock, ids, observer })
  const context = () => {
    const commandId = ids.next()
    return { commandId, orgId, actor: 'key:k1', correlationId: commandId, traceparent: null }
  }
  const onAccount = (command: AccountCommand) =>
    accounts.handle(accountStream(orgId), command, context())
  const onJob = (jobId: string, command: JobCommand) =>
    jobs.handle(jobStream(jobId), command, context())
  await onAccount({ ...account.openAccount(100n), orgId })
  await onAccount(account.grant(ids.next(), 10n ** 9n))
  await onAccount(account.issueKey(ids.next()))
  for (let number = 0; number < jobsPerOrg; number += 1) {
    const jobId = ids.next()
    const spec = { ...job.jobSpec, jobId, orgId, metadata: { text: `"ü" \u0000 ${number}` } }
    await onAccount(account.hold(jobId, 50n))
    await onJob(jobId, { type: 'SubmitJob', spec })
    await onJob(jobId, job.start(1))
    const usage = { ...account.usage(ids.next(), jobId, 7n), units: { requests: '1' } }
    await onAccount({ type: 'RecordUsage', usage, at: job.at(3) })
    await onJob(jobId, job.completeStep('s1'))
    if (number % 5 === 0) continue
    await onJob(jobId, job.succeed(1))
    await onAccount(account.settle(jobId))
  }
}

/** Runs a projector until the read models stand at the end of the log. */
async function project(): Promise<void> {
  const report = (level: string, fields: object, message: string) => {
    if (level !== 'info') throw new Error(message, { cause: fields })
  }
  const committed = () => undefined
  const loop = projector({ feed: newFeed(), store, projections: all, clock, report, committed })
  loop.start()
  const head = await newFeed().head()
  const stands = () =>
    Promise.all(all.map((one) => store.checkpoint(one.name, one.version, 'live')))
  const isThere = async () => (await stands()).every((stand) => stand === head)
  await waitFor('read models to catch up', isThere, 20_000)
  await loop.stop(new AbortController().signal)
}

const replay = () =>
  replayAudit({
    feed: newFeed(),
    store,
    scratch: new MemoryReadModelStore(),
    projections: all,
    shareOf: () => '',
  })

let files = 0

async function verifyBytes(bytes: Buffer) {
  const file = join(folder, `${(files += 1)}.ndjson`)
  writeFileSync(file, bytes)
  return await verifyExport(createReadStream(file))
}

async function exportedFile(): Promise<Buffer> {
  const file = join(folder, 'log.ndjson')
  writeFileSync(file, '')
  await exportLog(newFeed(), async (text) => writeFileSync(file, text, { flag: 'a' }))
  return readFileSync(file)
}

test('an export of the log verifies, and its chains end where the ledgers do', async () => {
  const bytes = await exportedFile()
  const verdict = await verifyBytes(bytes)
  const { rows: counted } = await pool.query<{ count: number }>('SELECT count(*)::int FROM event')
  expect(verdict).toMatchObject({ bad: null, events: counted[0]?.count })
  expect(verdict.streams).toBe(orgs.length * (jobsPerOrg + 1))
  const { rows } = await pool.query(
    `SELECT 'account-' || org_id AS stream, revision, hash FROM ledger_head ORDER BY 1`,
  )
  expect(verdict.accounts.toSorted((a, b) => (a.stream < b.stream ? -1 : 1))).toEqual(rows)
})

test('a flipped byte, and a missing event, are found and located', async () => {
  const bytes = await exportedFile()
  const { rows: log } = await pool.query<{ stream: string; revision: number }>(
    'SELECT stream, revision FROM event ORDER BY position',
  )
  const lines = bytes.toString().split('\n')
  for (const index of [0, 1, 50, log.length - 2, log.length - 1]) {
    const text = lines[index + 1]!
    const start = Buffer.byteLength(lines.slice(0, index + 1).join('\n')) + 1
    for (const share of [0.02, 0.3, 0.6, 0.95]) {
      const flipped = Buffer.from(bytes)
      flipped[start + Math.floor(Buffer.byteLength(text) * share)]! ^= 1
      expect((await verifyBytes(flipped)).bad).toMatchObject({ n: index, ...log[index] })
    }
    const without = Buffer.from(lines.toSpliced(index + 1, 1).join('\n'))
    expect((await verifyBytes(without)).bad).toMatchObject({ n: index, ...log[index] })
  }
})

test('a change of the log in the database shows in the chains of the next export', async () => {
  const before = await verifyBytes(await exportedFile())
  const change = (from: string, to: string) =>
    pool.query(
      `UPDATE event SET data = replace(data, $1, $2)
       WHERE stream = 'account-org-a' AND type = 'CreditsGranted'`,
      [from, to],
    )
  await change('"1000000000"', '"1000000001"')
  const after = await verifyBytes(await exportedFile())
  await change('"1000000001"', '"1000000000"')
  expect(after.bad).toBeNull()
  const changed = after.accounts.filter(
    ({ stream, hash }) => before.accounts.find((one) => one.stream === stream)?.hash !== hash,
  )
  expect(changed.map(({ stream }) => stream)).toEqual(['account-org-a'])
})

test('the log, folded from zero, gives the live read models row by row', async () => {
  const report = await replay()
  expect(report.differences).toEqual([])
  expect(report.differing).toBe(0)
  const rows = Object.fromEntries(report.tables.map((each) => [each.table, each.rows]))
  expect(rows).toMatchObject({
    job_status: orgs.length * jobsPerOrg,
    account_balance: orgs.length,
    usage_entry: orgs.length * jobsPerOrg,
    ledger_head: orgs.length,
  })
  expect(rows['ledger_entry']).toBeGreaterThan(orgs.length * jobsPerOrg * 6)
  expect(report.readModels.every(({ position }) => position !== null)).toBe(true)
})

test('a row that is changed, missing or made up is reported', async () => {
  const { rows } = await pool.query<{ job_id: string }>('SELECT job_id FROM job_status LIMIT 1')
  const jobId = rows[0]!.job_id
  await pool.query(`UPDATE account_balance SET posted = posted + 1 WHERE org_id = 'org-b'`)
  await pool.query(`DELETE FROM ledger_entry WHERE entry_id = 'org-a:0000000007'`)
  await pool.query(`UPDATE job_status SET job_id = 'made-up' WHERE job_id = $1`, [jobId])
  const { differences, differing } = await replay()
  expect(differing).toBe(4)
  const told = differences.map(({ table, key, live, replayed }) => {
    return [table, key, live !== null, replayed !== null]
  })
  expect(told).toHaveLength(4)
  expect(told).toEqual(
    expect.arrayContaining([
      ['account_balance', 'org-b', true, true],
      ['ledger_entry', 'org-a:0000000007', false, true],
      ['job_status', 'made-up', true, false],
      ['job_status', jobId, false, true],
    ]),
  )
})
