import type pg from 'pg'

/** Lets time go by for the leases in Postgres, whose clock is its own. */
export function passOnLeases(pool: pg.Pool): (ms: number) => Promise<void> {
  const text = `UPDATE job_lease SET expires_at = expires_at - $1 * interval '1 ms'`
  return async (ms) => {
    await pool.query({ text, values: [ms] })
  }
}

/** The same for claims of webhooks. */
export function passOnDeliveries(pool: pg.Pool): (ms: number) => Promise<void> {
  const text = `UPDATE webhook_outbox SET locked_until = locked_until - $1 * interval '1 ms'`
  return async (ms) => {
    await pool.query({ text, values: [ms] })
  }
}

/** The same for locks of idempotency keys. */
export function passOnKeys(pool: pg.Pool): (ms: number) => Promise<void> {
  const text = `UPDATE idempotency_key SET locked_until = locked_until - $1 * interval '1 ms'`
  return async (ms) => {
    await pool.query({ text, values: [ms] })
  }
}
