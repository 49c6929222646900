import type pg from 'pg'
import type { Claim, Lease } from '../../domain/ports/lease-store.ts'
import { Slots } from '../concurrency.ts'
import type { ConcurrencyLimit } from '../concurrency.ts'
import { expiryAfter } from './expiry.ts'
import { inTransaction } from './transaction.ts'

/** Held while what runs is counted and more is claimed: one claim at a time, over all workers. */
const claimLockKey = (0x43n << 56n).toString()
/** Pages of candidates that one claim looks at: each finds at least one without room. */
const pagesMax = 50
/**
 * Candidates of a page at least. With one free slot a page of one would find one user without room,
 * and 50 users who wait at the head of the queue would hide everybody behind them.
 */
const pageRowsMin = 100

// $1 orgs. A lease counts from its claim until it is given back.
const runningStatement = `
  SELECT l.org_id, q.user_id, l.job_type, count(*)::int AS count
  FROM job_lease l LEFT JOIN job_queue q USING (job_id)
  WHERE l.owner IS NOT NULL AND l.org_id = ANY ($1)
  GROUP BY l.org_id, q.user_id, l.job_type`

// $1 job types, $2 limit, $3 now, $4 jobs that were chosen already, $5 $6 $7 without room.
const candidatesStatement = 'SELECT * FROM claimable($1, $2, $3, $4, $5, $6, $7)'

// $1 owner, $2 lease in ms, $3 job ids, $4 orgs, $5 job types, $6 revisions
const claimStatement = `
  INSERT INTO job_lease AS l (job_id, org_id, job_type, epoch, owner, expires_at, revision)
  SELECT job_id, org_id, job_type, nextval('lease_epoch'), $1, ${expiryAfter('$2')}, revision
  FROM unnest($3::text[], $4::text[], $5::text[], $6::int[])
    AS c (job_id, org_id, job_type, revision)
  ON CONFLICT (job_id) DO UPDATE
    SET epoch = excluded.epoch, owner = excluded.owner, expires_at = excluded.expires_at
    WHERE l.owner IS NULL AND l.revision <= excluded.revision
  RETURNING l.job_id, l.epoch`

type Candidate = {
  readonly job_id: string
  readonly org_id: string
  readonly user_id: string | null
  readonly job_type: string
  readonly revision: number
}

/** Claims in the order of the queue, and passes over what would be one too many. */
export async function claimWithinLimits(pool: pg.Pool, claim: Claim): Promise<readonly Lease[]> {
  return inTransaction(pool, async (client) => {
    // In a statement of its own: the next one sees what the claim before this one has committed.
    await client.query(`SELECT pg_advisory_xact_lock(${claimLockKey}::bigint)`)
    const slots = await slotsOf(client, claim)
    const chosen = await choose(client, claim, slots)
    return chosen.length === 0 ? [] : lease(client, claim, chosen)
  })
}

async function slotsOf(client: pg.PoolClient, { now, providers }: Claim): Promise<Slots> {
  type LimitRow = { readonly org_id: string; readonly limits: readonly ConcurrencyLimit[] }
  const { rows: limits } = await client.query<LimitRow>({
    name: 'concurrency-limits',
    text: 'SELECT org_id, limits FROM concurrency_limit',
  })
  const byOrg = new Map(limits.map((row) => [row.org_id, row.limits]))
  const slots = new Slots(byOrg, providers ?? new Map(), now)
  type RunningRow = Omit<Candidate, 'job_id' | 'revision'> & { readonly count: number }
  const { rows: running } = await client.query<RunningRow>({
    name: 'running-jobs',
    text: runningStatement,
    values: [[...byOrg.keys()]],
  })
  for (const row of running) slots.occupy(toRunner(row), row.count)
  return slots
}

async function choose(client: pg.PoolClient, claim: Claim, slots: Slots) {
  const { jobTypes, limit, now } = claim
  const pageRows = Math.max(limit, pageRowsMin)
  const chosen: Candidate[] = []
  for (let page = 0; page < pagesMax && chosen.length < limit; page += 1) {
    const known = chosen.map((row) => row.job_id)
    const { orgs, users, types } = slots.blocked
    const { rows } = await client.query<Candidate>({
      name: 'claim-candidates',
      text: candidatesStatement,
      values: [jobTypes, pageRows, new Date(now), known, orgs, users, types],
    })
    for (const row of rows) {
      if (chosen.length < limit && slots.take(toRunner(row))) chosen.push(row)
    }
    if (rows.length < pageRows) break
  }
  return chosen
}

async function lease(client: pg.PoolClient, claim: Claim, chosen: readonly Candidate[]) {
  const { owner, leaseMs } = claim
  const { rows } = await client.query<{ job_id: string; epoch: string }>({
    name: 'claim-chosen',
    text: claimStatement,
    values: [
      ...[owner, leaseMs],
      chosen.map((row) => row.job_id),
      chosen.map((row) => row.org_id),
      chosen.map((row) => row.job_type),
      chosen.map((row) => row.revision),
    ],
  })
  const epochs = new Map(rows.map((row) => [row.job_id, Number(row.epoch)]))
  return chosen.flatMap((row): Lease[] => {
    const epoch = epochs.get(row.job_id)
    if (epoch === undefined) return []
    return [{ jobId: row.job_id, orgId: row.org_id, jobType: row.job_type, epoch }]
  })
}

function toRunner(row: Omit<Candidate, 'job_id' | 'revision'>) {
  return { orgId: row.org_id, userId: row.user_id, jobType: row.job_type }
}
