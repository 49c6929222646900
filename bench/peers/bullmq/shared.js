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

/**
 * A pool that survives a restart of Postgres. Ten connections per process: with 20 and 40 the
 * orgs' balance rows are waited for more (1.27 against 1.54 ms of CPU per job on two cores).
 */
export function connectPostgres() {
  const pool = new pg.Pool({ connectionString: setting('DATABASE_URL'), max: 10 })
  pool.on('error', (error) => console.error('idle Postgres client failed:', error.message))
  return pool
}

/**
 * A connection as BullMQ wants it. Without auto-pipelining: measured on two cores it costs
 * (1.24 against 1.54 ms of CPU per job).
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
