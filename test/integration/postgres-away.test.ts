import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import { PostgresLimitStore } from '../../infra/postgres/limit-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { inOneTrip, inTransaction, queryThen } from '../../infra/postgres/transaction.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let pool: pg.Pool

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 2, applicationName: 'weir-away' })
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

const asleep = { text: 'SELECT pg_sleep(20)' }

/** Ends the connections of the pool while they are at work. */
async function breaking<T>(work: Promise<T>): Promise<T> {
  const over = new AbortController()
  const settled = work.finally(() => over.abort())
  settled.catch(() => undefined)
  while (!over.signal.aborted) {
    await database.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'weir-away' AND state <> 'idle' AND datname = current_database()`,
    )
  }
  return settled
}

test.each<[string, () => Promise<unknown>]>([
  ['a statement', () => pool.query(asleep)],
  ['a transaction', () => inTransaction(pool, (client) => client.query(asleep))],
  ['a transaction in one trip', () => inOneTrip(pool, [asleep])],
  ['a statement with another behind it', () => queryThen(pool, asleep, { text: 'SELECT 1' })],
])('%s whose connection breaks says that Postgres does not answer', async (_, run) => {
  await expect(breaking(run())).rejects.toBeInstanceOf(EngineUnavailable)
})

test('a Postgres that is not there does not answer', async () => {
  const nowhere = openPool('postgres://weir@127.0.0.1:1/weir', { max: 1, applicationName: 'weir' })
  await expect(nowhere.query({ text: 'SELECT 1' })).rejects.toBeInstanceOf(EngineUnavailable)
  await expect(inOneTrip(nowhere, [])).rejects.toBeInstanceOf(EngineUnavailable)
  const check = { key: 'org', max: 1, windowMs: 1_000, cost: 1 }
  const taken = new PostgresLimitStore(nowhere).take([check], 0)
  await expect(taken).rejects.toBeInstanceOf(EngineUnavailable)
  await nowhere.end()
})

test('what Postgres refuses is no absence, nor is what the work itself throws', async () => {
  await expect(pool.query({ text: 'SELECT nothing' })).rejects.toBeInstanceOf(pg.DatabaseError)
  const work = inTransaction(pool, () => Promise.reject(new Error('of its own')))
  await expect(work).rejects.toThrow(/^of its own$/)
})
