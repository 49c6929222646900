import type pg from 'pg'
import type {
  Claim,
  Claimed,
  ExpiredLease,
  Lease,
  ReleasedLease,
  Renewal,
  RenewalRequest,
} from '../../domain/ports/lease-store.ts'
import { LeaseStore } from '../../domain/ports/lease-store.ts'
import { Batcher } from '../batcher.ts'
import { expiryAfter } from './expiry.ts'
import { claimWithinLimits } from './limited-claim.ts'

type LeaseRow = {
  readonly job_id: string
  readonly org_id: string
  readonly job_type: string
  readonly epoch: string
  readonly owner: string | null
}

// $1 owner, $2 job types, $3 limit, $4 now, $5 lease in ms. While any org limits what runs at once,
// this claims nothing and says so: counting what runs needs a claim that is alone
// (limited-claim.ts).
const claimStatement = `
  WITH chosen AS MATERIALIZED (
    SELECT c.* FROM (SELECT WHERE NOT EXISTS (SELECT FROM concurrency_limit)) AS unlimited
    CROSS JOIN LATERAL claimable($2, $3, $4) AS c
  ), claimed AS (
    INSERT INTO job_lease AS l (job_id, org_id, job_type, epoch, owner, expires_at, revision)
    SELECT job_id, org_id, job_type, nextval('lease_epoch'), $1, ${expiryAfter('$5')}, revision
    FROM chosen
    ON CONFLICT (job_id) DO UPDATE
      SET epoch = excluded.epoch, owner = excluded.owner, expires_at = excluded.expires_at
      WHERE l.owner IS NULL AND l.revision <= excluded.revision
    RETURNING l.job_id, l.org_id, l.job_type, l.epoch
  )
  SELECT job_id, claimed.org_id, claimed.job_type, epoch, chosen.priority, chosen.turn
  FROM claimed JOIN chosen USING (job_id)
  UNION ALL
  SELECT NULL, NULL, NULL, NULL, 0, 0 WHERE EXISTS (SELECT FROM concurrency_limit)
  ORDER BY priority, turn, job_id`

// $1 owner, $2 epochs, $3 lease in ms. One that is over is not renewed: the rescuer may have it.
const renewStatement = `
  WITH renewed AS (
    UPDATE job_lease SET expires_at = ${expiryAfter('$3')}
    WHERE owner = $1 AND epoch = ANY ($2) AND expires_at > statement_timestamp()
    RETURNING job_id, epoch
  )
  SELECT r.epoch, coalesce(
    (SELECT q.cancel_requested FROM job_queue q WHERE q.job_id = r.job_id), false
  ) AS cancel_requested
  FROM renewed r`

// $1 job ids, $2 epochs, $3 revisions. No two leases have the same epoch. Not a join: of one with
// an array Postgres may read all leases, and the array for each of them.
const releaseStatement = `
  UPDATE job_lease
  SET owner = NULL, expires_at = NULL,
    revision = greatest(revision, ($3::int[])[array_position($2::bigint[], epoch)])
  WHERE job_id = ANY ($1) AND epoch = ANY ($2)`

// $1 limit
const expiredStatement = 'SELECT * FROM expired_leases($1)'

/** Says that somebody limits what runs. */
type UnclaimedRow = { readonly job_id: null }

function isLease(row: LeaseRow | UnclaimedRow): row is LeaseRow {
  return row.job_id !== null
}

type Release = {
  readonly released: readonly ReleasedLease[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const releasesMax = 500
const releaseRestMs = 5

/** Leases in Postgres. `job_queue` is read, `job_lease` is ours. */
export class PostgresLeaseStore extends LeaseStore {
  readonly #pool: pg.Pool
  /** Jobs end one by one; their leases are given back together. */
  readonly #releases: Batcher<Release>

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
    this.#releases = new Batcher({
      inFlightMax: 1,
      batchMax: releasesMax,
      restMs: releaseRestMs,
      run: (batch) => this.#release(batch),
    })
  }

  override async claim(claim: Claim): Promise<Claimed> {
    const { owner, jobTypes, limit, now, leaseMs } = claim
    const { rows } = await this.#pool.query<LeaseRow | UnclaimedRow>({
      name: 'claim-leases',
      text: claimStatement,
      values: [owner, jobTypes, limit, new Date(now), leaseMs],
    })
    const leases = rows.filter(isLease)
    if (leases.length === rows.length) {
      return { leases: leases.map(toLease), mayHaveMore: leases.length === limit }
    }
    return { leases: await claimWithinLimits(this.#pool, claim), mayHaveMore: true }
  }

  override async renew({ owner, epochs, leaseMs }: RenewalRequest): Promise<Renewal> {
    const { rows } = await this.#pool.query<{ epoch: string; cancel_requested: boolean }>({
      name: 'renew-leases',
      text: renewStatement,
      values: [owner, epochs, leaseMs],
    })
    return {
      held: rows.map((row) => Number(row.epoch)),
      cancelRequested: rows.filter((row) => row.cancel_requested).map((row) => Number(row.epoch)),
    }
  }

  override release(released: readonly ReleasedLease[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#releases.add({ released, resolve, reject })
    })
  }

  async #release(batch: readonly Release[]): Promise<void> {
    const released = batch.flatMap((release) => release.released)
    try {
      await this.#pool.query({
        name: 'release-leases',
        text: releaseStatement,
        values: [
          released.map((lease) => lease.jobId),
          released.map((lease) => lease.epoch),
          released.map((lease) => lease.revision),
        ],
      })
      for (const { resolve } of batch) resolve()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  override async expired(limit: number): Promise<readonly ExpiredLease[]> {
    const { rows } = await this.#pool.query<LeaseRow>({
      name: 'expired-leases',
      text: expiredStatement,
      values: [limit],
    })
    return rows.map((row) => ({ ...toLease(row), owner: row.owner }))
  }

  override async overdue(now: number, limit: number): Promise<readonly string[]> {
    const { rows } = await this.#pool.query<{ job_id: string }>({
      name: 'overdue-jobs',
      text: `SELECT job_id FROM job_queue WHERE deadline_at <= $1 ORDER BY deadline_at LIMIT $2`,
      values: [new Date(now), limit],
    })
    return rows.map((row) => row.job_id)
  }

  override async forget(limit: number): Promise<number> {
    const { rows } = await this.#pool.query<{ forgotten: number }>({
      name: 'forget-leases',
      text: 'SELECT forget_leases($1) AS forgotten',
      values: [limit],
    })
    return rows[0]?.forgotten ?? 0
  }

  override async adopt(running: readonly Lease[], epochMax: number): Promise<void> {
    await this.#pool.query({
      text: `SELECT setval('lease_epoch', greatest($1, last_value)) FROM lease_epoch WHERE $1 > 0`,
      values: [epochMax],
    })
    await this.#pool.query({
      text: `INSERT INTO job_lease (job_id, org_id, job_type, epoch, revision)
        SELECT l.*, 0 FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS l
        ON CONFLICT (job_id) DO NOTHING`,
      values: [
        running.map(({ jobId }) => jobId),
        running.map(({ orgId }) => orgId),
        running.map(({ jobType }) => jobType),
        running.map(({ epoch }) => epoch),
      ],
    })
  }
}

function toLease(row: LeaseRow): Lease {
  const { job_id: jobId, org_id: orgId, job_type: jobType, epoch } = row
  return { jobId, orgId, jobType, epoch: Number(epoch) }
}
