import type pg from 'pg'
import type {
  Beginning,
  IdempotentRequest,
  StoredAnswer,
} from '../../domain/ports/idempotency-store.ts'
import { IdempotencyStore } from '../../domain/ports/idempotency-store.ts'
import { expiryAfter } from './expiry.ts'

type Row = {
  readonly body_sha256: string
  readonly subject_id: string
  readonly locked_until: Date
  readonly is_mine: boolean
  readonly answer_status: number | null
  readonly answer_body: string | null
  readonly answer_location: string | null
}

const lockedUntil = `date_trunc('milliseconds', ${expiryAfter('$5')})`

// $1 scope, $2 body hash, $3 subject, $4 now, $5 lock in ms
//
// The first request inserts; a repetition takes over when the first one's lock is over and it never
// answered. Anything else changes nothing and reads what is there.
const beginStatement = `
  WITH taken AS (
    INSERT INTO idempotency_key AS k
      (scope, body_sha256, subject_id, locked_until, created_at)
    VALUES ($1, $2, $3, ${lockedUntil}, $4)
    ON CONFLICT (scope) DO UPDATE SET locked_until = excluded.locked_until
      WHERE k.answer_status IS NULL AND k.locked_until <= statement_timestamp()
        AND k.body_sha256 = excluded.body_sha256
    RETURNING subject_id, locked_until
  )
  SELECT body_sha256, subject_id, locked_until, false AS is_mine, answer_status, answer_body,
    answer_location
  FROM idempotency_key WHERE scope = $1 AND NOT EXISTS (SELECT FROM taken)
  UNION ALL
  SELECT $2, subject_id, locked_until, true, NULL, NULL, NULL FROM taken`

/** Idempotency keys in a table of their own. */
export class PostgresIdempotencyStore extends IdempotencyStore {
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
  }

  override async begin(request: IdempotentRequest): Promise<Beginning> {
    const { scope, bodySha256, subjectId, now, lockMs } = request
    const { rows } = await this.#pool.query<Row>({
      name: 'idempotency-begin',
      text: beginStatement,
      values: [scope, bodySha256, subjectId, new Date(now), lockMs],
    })
    const row = rows[0]
    // Inserted by somebody else between the two parts of the statement: in flight.
    if (!row) return { kind: 'in_flight' }
    const { subject_id: owner, locked_until: until } = row
    if (row.is_mine) return { kind: 'go', subjectId: owner, lockedUntil: until.getTime() }
    if (row.body_sha256 !== bodySha256) return { kind: 'mismatch' }
    if (row.answer_status === null) return { kind: 'in_flight' }
    const { answer_status: status, answer_body: body, answer_location: location } = row
    return { kind: 'answered', answer: { status, body: body ?? '', location } }
  }

  override async complete(scope: string, answer: StoredAnswer): Promise<void> {
    await this.#pool.query({
      name: 'idempotency-complete',
      text: `UPDATE idempotency_key
        SET answer_status = $2, answer_body = $3, answer_location = $4
        WHERE scope = $1 AND answer_status IS NULL`,
      values: [scope, answer.status, answer.body, answer.location],
    })
  }

  override async abandon(scope: string, lockedUntil: number): Promise<void> {
    await this.#pool.query({
      name: 'idempotency-abandon',
      text: `DELETE FROM idempotency_key
        WHERE scope = $1 AND answer_status IS NULL AND locked_until = $2`,
      values: [scope, new Date(lockedUntil)],
    })
  }

  override async forget(before: number, countMax: number): Promise<number> {
    const { rowCount } = await this.#pool.query({
      name: 'idempotency-forget',
      text: `DELETE FROM idempotency_key WHERE scope = ANY (ARRAY(
        SELECT scope FROM idempotency_key WHERE created_at < $1 ORDER BY created_at LIMIT $2
      )) AND created_at < $1`,
      values: [new Date(before), countMax],
    })
    return rowCount ?? 0
  }
}
