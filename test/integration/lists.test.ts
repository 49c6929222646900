import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { isoTime } from '../../domain/ports/clock.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { sqlOver } from '../../infra/postgres/sql.ts'
import { readConfig } from '../../src/config.ts'
import { listOrgJobs } from '../../src/queries/list-jobs.ts'
import type { Query } from '../../src/http/paging.ts'
import { webhookEntries } from '../../src/queries/job-timeline.ts'
import { summarizeUsage } from '../../src/queries/list-usage.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await testDatabase()
  await database.pool.query(`
    INSERT INTO weir.job_status
    SELECT 'job' || n, 'org' || n % 50, null, 'sandbox.run', 'succeeded', 100, 1, 5, 'normal', '{}',
      '2026-01-01'::timestamptz + n * interval '1 s', null, null, null, null
    FROM generate_series(1, 50000) n;
    ANALYZE weir.job_status`)
})

afterAll(async () => database.close())

test('usage is summed up by a property that has not too many values in the period', async () => {
  await database.pool.query(`
    INSERT INTO weir.usage_entry
    SELECT 'usage' || n, 'org', 'job' || n, 'sandbox.run', nullif('user' || n, 'user1'), 'sandbox',
      null, '{"requests":"2","images":"1"}', 5, 7, n, 1, true,
      '2026-01-01'::timestamptz + n * interval '1 s'
    FROM generate_series(1, 10001) n`)
  const pool = openPool(database.url, { max: 1, applicationName: 'test' })
  const sum = (query: Query) => summarizeUsage(sqlOver(pool), 'org', query)
  const tooMany = { code: 'invalid_request', extra: { errors: [{ pointer: '?groupBy' }] } }
  await expect(sum({ groupBy: 'userId' })).rejects.toMatchObject(tooMany)
  const { items } = await sum({ groupBy: 'userId', to: '2026-01-01T02:46:41Z' })
  expect(items).toHaveLength(10_000)
  const sums = { calls: 1, units: { requests: '2', images: '1' }, ms: 5, costNanoUsd: '7' }
  expect(items[0]).toEqual({ key: 'user10000', ...sums, chargedMicro: '10000' })
  expect(items.at(-1)).toEqual({ key: null, ...sums, chargedMicro: '1' })
  await pool.end()
})

test('webhooks of a job are found without reading those of other orgs', async () => {
  await database.pool.query(`
    INSERT INTO weir.webhook_outbox (delivery_id, org_id, job_id, url, event_type, sequence, body,
      next_attempt_at, created_at, updated_at)
    SELECT 'd' || n, 'org' || n, 'job' || n, '', 'job.started', 1, '', now(), now(), now()
    FROM generate_series(1, 1000) n`)
  const pool = openPool(database.url, { max: 1, applicationName: 'test' })
  const submittedAt = isoTime(Date.now())
  const job = { orgId: 'org7', jobId: 'job7', submittedAt }
  expect(await webhookEntries(sqlOver(pool), job)).toMatchObject([{ what: 'webhook pending' }])
  await pool.end()
  const { rows } = await database.pool.query<{ scans: string }>(
    `SELECT seq_scan AS scans FROM pg_stat_user_tables WHERE relname = 'webhook_outbox'`,
  )
  expect(Number(rows[0]?.scans)).toBe(0)
})

test('jobs of all orgs are listed without reading the whole table', async () => {
  const pool = openPool(database.url, { max: 1, applicationName: 'test' })
  const ports = { sql: sqlOver(pool), config: readConfig({}) }
  const scansOf = async (): Promise<number> => {
    const { rows } = await database.pool.query<{ scans: string }>(
      `SELECT seq_scan AS scans FROM pg_stat_user_tables WHERE relname = 'job_status'`,
    )
    return Number(rows[0]?.scans)
  }
  const before = await scansOf()
  let cursor: string | null = null
  // More often than Postgres makes a plan of its own for each.
  for (let times = 0; times < 12; times += 1) {
    const { items, nextCursor } = await listOrgJobs(ports, cursor === null ? {} : { cursor })
    expect(items[0]?.jobId).toBe(`job${50_000 - times * 50}`)
    cursor = nextCursor
  }
  await pool.end()
  expect(await scansOf()).toBe(before)
})
