import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type pg from 'pg'
import { PostgresLimitStore } from '../../infra/postgres/limit-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { limitStoreContract } from './limit-store.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let store: PostgresLimitStore

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
  store = new PostgresLimitStore(pool)
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

limitStoreContract(() => store)

test('while the table is held by somebody nothing is forgotten, and no request waits', async () => {
  const holder = await database.pool.connect()
  await holder.query('BEGIN')
  await holder.query('LOCK TABLE weir.limit_counter IN SHARE UPDATE EXCLUSIVE MODE')
  const check = { key: 'org:held', max: 1, windowMs: 1_000, cost: 1 }
  expect(await store.forget(Date.now(), 10)).toBe(0)
  expect(await store.take([check], Date.now())).toMatchObject({ allowed: true })
  await holder.query('ROLLBACK')
  holder.release()
})
