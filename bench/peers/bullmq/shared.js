// What the API and the worker process of this application have in common.
import { Redis } from 'ioredis'
import pg from 'pg'

export const queueName = 'jobs'
export const updatesChannel = 'job-updates'
export const priceMicroPerRequest = 10_000

/** Required environment variable. */
export function setting(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

/** A pool that survives a restart of Postgres. Ten or twenty connections made no difference. */
export function connectPostgres() {
  const pool = new pg.Pool({ connectionString: setting('DATABASE_URL'), max: 10 })
  pool.on('error', (error) => console.error('idle Postgres client failed:', error.message))
  return pool
}

/**
 * A connection as BullMQ wants it. Without ioredis' auto-pipelining, which cost more than it saved:
 * 1.8 against 1.6 ms of CPU per job (medians of four alternating runs on a busy two-core machine).
 */
export function connectRedis() {
  return new Redis(setting('REDIS_URL'), { maxRetriesPerRequest: null })
}

/** Ends the process in order on SIGTERM and SIGINT. */
export function onStop(close) {
  let stopping = false
  const stop = async () => {
    if (stopping) return
    stopping = true
    await close()
    process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}
