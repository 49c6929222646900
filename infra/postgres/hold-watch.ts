import type pg from 'pg'
import { HoldWatch } from '../../domain/ports/hold-watch.ts'
import type { StrandedHold } from '../../domain/ports/hold-watch.ts'

export class PostgresHoldWatch extends HoldWatch {
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
  }

  override async stranded(before: string, limit: number): Promise<readonly StrandedHold[]> {
    const { rows } = await this.#pool.query<StrandedHold>({
      name: 'stranded-holds',
      text: `SELECT h.org_id AS "orgId", h.hold_id AS "holdId", h.job_id AS "jobId"
        FROM credit_hold h
        WHERE h.is_open AND h.held_at < $1
          AND NOT EXISTS (SELECT FROM job_queue q WHERE q.job_id = h.job_id)
        ORDER BY h.held_at LIMIT $2`,
      values: [before, limit],
    })
    return rows
  }

  override async orgsWithExpiredCredits(now: string, limit: number): Promise<readonly string[]> {
    const { rows } = await this.#pool.query<{ org_id: string }>({
      name: 'expired-credits',
      text: `WITH expired AS MATERIALIZED (
          SELECT org_id FROM credit_grant WHERE expires_at <= $1 AND remaining > 0
          ORDER BY expires_at
        )
        SELECT DISTINCT org_id FROM expired e
        WHERE (SELECT b.posted > b.held FROM account_balance b WHERE b.org_id = e.org_id)
        LIMIT $2`,
      values: [now, limit],
    })
    return rows.map((row) => row.org_id)
  }
}
