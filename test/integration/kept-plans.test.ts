import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type pg from 'pg'
import { PostgresDeliveryStore } from '../../infra/postgres/delivery-store.ts'
import { PostgresHoldWatch } from '../../infra/postgres/hold-watch.ts'
import { PostgresIdempotencyStore } from '../../infra/postgres/idempotency-store.ts'
import { PostgresLeaseStore } from '../../infra/postgres/lease-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { PostgresSnapshotStore } from '../../infra/postgres/snapshot-store.ts'
import { sqlOver } from '../../infra/postgres/sql.ts'
import { projections } from '../../projections/registry.ts'
import { listHolds, listOrgs } from '../../src/queries/admin-lists.ts'
import { getBalances } from '../../src/queries/get-credits.ts'
import { revisionsOf } from '../../src/queries/job-revisions.ts'
import { listAudit } from '../../src/queries/list-audit.ts'
import { listJobs, listOrgJobs } from '../../src/queries/list-jobs.ts'
import { listUsage } from '../../src/queries/list-usage.ts'
import { readConfig } from '../../src/config.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

// Postgres keeps the plan of a statement, by what it believed of the tables when it was made: that
// they are empty, when a vacuum has just come by a quiet weir. Then a flood fills them.

const rowCount = 2_000
const keys = Array.from({ length: 20 }, (_, at) => `id${at + 1}`)
/** Rows and entries of indexes that one call may read; what reads a whole table reads more. */
const readMax = 1_000
/** After five of its own Postgres makes a plan that it keeps. */
const runsUntilKept = 7

let database: TestDatabase
let pool: pg.Pool

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 1, applicationName: 'weir-test' })
  // The one connection, and the plans that it keeps, stay while the tables are filled.
  pool.options.idleTimeoutMillis = 0
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

const time = `timestamptz '2026-01-01' + n * interval '1 s'`

const fillings = [
  `job_queue (job_id, org_id, job_type, state, priority, turn, revision, cancel_requested,
     queued_at, deadline_at)
   SELECT 'id' || n, 'acme', 'sandbox.run', 'running', 0, n, 0, false, now(), 'infinity'`,
  `job_lease (job_id, org_id, job_type, epoch, owner, expires_at, revision)
   SELECT 'id' || n, 'acme', 'sandbox.run', n, 'worker' || n % 200, 'infinity', 0`,
  `job_status (job_id, org_id, job_type, status, progress, attempt, revision, priority, metadata,
     created_at)
   SELECT 'id' || n, 'acme', 'sandbox.run', 'running', 0, 1, 0, 'normal', '{}', ${time}`,
  `job_webhook SELECT 'id' || n, 'sandbox.run', null, '', '[]', '{}', 'running', 0, 0`,
  `account_balance SELECT 'id' || n, '', 'active', 2, 1, 0, 0, ${time}`,
  `credit_hold SELECT 'id' || n, 'acme', 'id' || n, 1, 0, true, ${time}, ${time}`,
  `credit_grant SELECT 'id' || n, 'id' || n, 'plan', 1, 1, 0, '', ${time}, 'infinity'`,
  `usage_entry SELECT 'id' || n, 'acme', 'id' || n, 'sandbox.run', null, 'sandbox', null, '{}', 1,
     1, 1, 1, true, ${time}`,
  `webhook_outbox (delivery_id, org_id, url, event_type, sequence, body, status, next_attempt_at,
     created_at, updated_at)
   SELECT 'id' || n, 'acme', 'https://host' || n % 4, 'job.failed', 1, '{}',
     CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'delivered' END, ${time}, ${time}, ${time}`,
  `idempotency_key SELECT 'id' || n, '', 'id' || n, now(), null, null, null, ${time}`,
  `audit_entry SELECT 'id' || n, 'acme', ${time}, '', '', '{}'`,
  `snapshot SELECT 'id' || n, 1, 1, '{}'`,
]
const tables = fillings.map((filling) => filling.split(' ', 1)[0])

type Calls = Readonly<Record<string, (list: Deep) => Promise<unknown>>>

/** The cursor of a page that lies deep in a list. */
type Deep = (name: string) => { readonly cursor?: string }

function readModelCalls(): Calls {
  const readModels = new PostgresReadModelStore(pool)
  const used = projections({ alarm: () => undefined, publicUrl: 'https://weir.example' })
    .flatMap((projection) => projection.tables)
    .filter(({ name }) => tables.includes(name))
  return Object.fromEntries(
    used.flatMap((table): [string, () => Promise<unknown>][] => [
      [`load ${table.name}`, () => readModels.load(table, keys, 'live')],
      [
        `remove ${table.name}`,
        () => readModels.commit([], [{ table, put: [], remove: keys.slice(0, 1) }], 'live'),
      ],
    ]),
  )
}

function storeCalls(): Calls {
  const leases = new PostgresLeaseStore(pool)
  const deliveries = new PostgresDeliveryStore(pool)
  const idempotency = new PostgresIdempotencyStore(pool)
  const holds = new PostgresHoldWatch(pool)
  const none = new Map<string, number>()
  const room = { perHostMax: 10, inFlightByHost: none, perOrgMax: 10, inFlightByOrg: none }
  const given = keys.map((jobId, at) => ({ jobId, epoch: at + 1, revision: 1 }))
  return {
    renew: () => leases.renew({ owner: 'worker3', epochs: [3, 203, 403], leaseMs: 1_000 }),
    release: () => leases.release(given),
    overdue: () => leases.overdue(0, 10),
    'claim deliveries': () =>
      deliveries.claimDue({ nowMs: Date.parse('2027-01-01'), limit: 50, leaseMs: 1, ...room }),
    'forget deliveries': () => deliveries.forget(0, 10),
    'complete an answer': () =>
      idempotency.complete('id9', { status: 202, body: '', location: null }),
    'forget answers': () => idempotency.forget(0, 10),
    'expired credits': () => holds.orgsWithExpiredCredits('2020-01-01T00:00:00.000Z', 10),
    snapshot: () => new PostgresSnapshotStore(pool).load('id9', 1),
  }
}

function listCalls(): Calls {
  const config = readConfig({})
  const sql = sqlOver(pool)
  return {
    balances: () => getBalances(sql, keys),
    revisions: () => revisionsOf(sql, keys),
    jobs: (deep) => listJobs({ sql, config }, 'acme', deep('jobs')),
    'jobs of all': (deep) => listOrgJobs({ sql, config }, deep('jobs of all')),
    usage: (deep) => listUsage(sql, 'acme', deep('usage')),
    holds: (deep) => listHolds(sql, { orgId: 'acme', ...deep('holds') }),
    orgs: (deep) => listOrgs(sql, deep('orgs'), '2026-01-01T00:00:00.000Z'),
    audit: (deep) => listAudit(sql, deep('audit')),
  }
}

/** What all sessions have read so far. */
async function readCount(): Promise<number> {
  await pool.query('SELECT pg_stat_force_next_flush()')
  const { rows } = await database.pool.query<{ count: number }>(
    `SELECT ((SELECT sum(seq_tup_read) FROM pg_stat_user_tables)
       + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes))::int AS count`,
  )
  return rows[0]!.count
}

async function fill(): Promise<void> {
  for (const filling of fillings) {
    await pool.query(`INSERT INTO ${filling} FROM generate_series(1, $1) n`, [rowCount])
  }
}

/** Follows a list to where most of its rows are newer. */
async function deepCursor(list: (cursor: string | undefined) => Promise<unknown>) {
  let cursor: string | undefined
  for (let page = 0; page < rowCount / 50 - 5; page += 1) {
    const { nextCursor } = Object(await list(cursor)) as { nextCursor: string }
    cursor = nextCursor
  }
  return cursor
}

test('rows are found by an index, though the plan was made when there were none', async () => {
  const lists = listCalls()
  const calls = { ...readModelCalls(), ...storeCalls(), ...lists }
  for (const table of tables) {
    await pool.query(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`)
    await pool.query(`VACUUM ANALYZE ${table}`)
  }
  for (let run = 0; run < runsUntilKept; run += 1) {
    for (const call of Object.values(calls)) await call(() => ({}))
  }
  await pool.query('DELETE FROM idempotency_key')
  await fill()
  const cursors = new Map<string, string | undefined>()
  for (const name of ['jobs', 'jobs of all', 'usage', 'holds', 'orgs', 'audit']) {
    const next = (cursor?: string) => lists[name]!(() => (cursor === undefined ? {} : { cursor }))
    cursors.set(name, await deepCursor(next))
  }
  const read: (readonly [string, number])[] = []
  for (const [name, call] of Object.entries(calls)) {
    const before = await readCount()
    await call((list) => ({ cursor: cursors.get(list)! }))
    read.push([name, (await readCount()) - before])
  }
  expect(read.filter(([, count]) => count > readMax)).toEqual([])
})
