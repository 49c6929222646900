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
      text: `SELECT DISTINCT g.org_id FROM credit_grant g
        JOIN account_balance b ON b.org_id = g.org_id AND b.posted > b.held
        WHERE g.expires_at <= $1 AND g.remaining > 0 LIMIT $2`,
      values: [now, limit],
    })
    return rows.map((row) => row.org_id)
  }
}
