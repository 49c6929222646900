import type pg from 'pg'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import { type LimitCheck, type LimitDecision, LimitStore } from '../../domain/ports/limit-store.ts'
import { Batcher } from '../batcher.ts'
import { isLockTimeout } from './errors.ts'
import { inTransaction } from './transaction.ts'
import { type CheckOutcome, costMs, decide, returned } from '../gcra.ts'

type Take = {
  readonly checks: readonly LimitCheck[]
  readonly now: number
  readonly resolve: (decision: LimitDecision) => void
  readonly reject: (error: Error) => void
}

type OutcomeRow = { readonly before_ms: number; readonly after_ms: number | null }

// $1 before, $2 limit
const forgetSql = `
  DELETE FROM limit_counter
  WHERE ctid = ANY (ARRAY(SELECT ctid FROM limit_counter WHERE arrival < $1 LIMIT $2))`

/** Requests wait behind whoever waits for the table; rather nothing is forgotten this time, ms. */
const lockMsMax = 100
const inFlightMax = 2
const takesPerBatchMax = 500

/** Rate counters in one table. Requests that come at the same time are decided in one statement. */
export class PostgresLimitStore extends LimitStore {
  readonly #pool: pg.Pool
  readonly #takes: Batcher<Take>

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
    this.#takes = new Batcher<Take>({
      inFlightMax,
      batchMax: takesPerBatchMax,
      run: (batch) => this.#run(batch),
    })
  }

  override async take(checks: readonly LimitCheck[], now: number): Promise<LimitDecision> {
    if (checks.length === 0) return { allowed: true, remaining: [] }
    return await new Promise((resolve, reject) => {
      this.#takes.add({ checks, now, resolve, reject })
    })
  }

  override async give(checks: readonly LimitCheck[], now: number): Promise<void> {
    await this.take(checks.map(returned), now)
  }

  override async forget(before: number, countMax: number): Promise<number> {
    const forgotten = inTransaction(this.#pool, async (client) => {
      // A counter that went while a request is being counted would put the others out of order.
      await client.query(`SET LOCAL lock_timeout = '${lockMsMax}ms'`)
      await client.query('LOCK TABLE limit_counter IN SHARE ROW EXCLUSIVE MODE')
      const { rowCount } = await client.query(forgetSql, [before, countMax])
      return rowCount ?? 0
    })
    return forgotten.catch((error: unknown) => {
      if (isLockTimeout(error)) return 0
      throw error
    })
  }

  async #run(batch: readonly Take[]): Promise<void> {
    try {
      const { rows } = await this.#pool.query<OutcomeRow>({
        name: 'take_limits',
        text: 'SELECT * FROM take_limits($1, $2, $3, $4, $5, $6)',
        values: takeValues(batch),
      })
      let at = 0
      for (const take of batch) {
        const outcomes = rows.slice(at, at + take.checks.length).map(outcome)
        at += take.checks.length
        take.resolve(decide(take.checks, outcomes))
      }
    } catch (error) {
      const failure = failureOf(error)
      for (const take of batch) take.reject(failure)
    }
  }
}

function takeValues(batch: readonly Take[]): unknown[] {
  const checks = batch.flatMap((take, request) =>
    take.checks.map((check) => ({ ...check, request: request + 1, now: take.now })),
  )
  const keys = sortedAsInPostgres(new Set(checks.map((check) => check.key)))
  const places = new Map(keys.map((key, at) => [key, at + 1]))
  return [
    keys,
    checks.map((check) => check.request),
    checks.map((check) => places.get(check.key)),
    checks.map((check) => check.now),
    checks.map(costMs),
    checks.map((check) => check.windowMs),
  ]
}

/**
 * By bytes, as the column is: the procedure finds counters by their places in that order. Also two
 * processes then never lock the same counters in different orders.
 */
function sortedAsInPostgres(keys: Iterable<string>): readonly string[] {
  const bytes = Array.from(keys, (key) => Buffer.from(key))
  return bytes.sort((a, b) => Buffer.compare(a, b)).map((key) => key.toString())
}

function failureOf(cause: unknown): Error {
  const isAway = cause instanceof EngineUnavailable
  return new (isAway ? EngineUnavailable : Error)('cannot count requests', { cause })
}

function outcome(row: OutcomeRow): CheckOutcome {
  return { beforeMs: row.before_ms, afterMs: row.after_ms }
}
