import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { PostgresIdempotencyStore } from '../../infra/postgres/idempotency-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { passOnKeys } from '../support/lease-time.ts'
import { idempotencyStoreContract } from './idempotency-store.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let store: PostgresIdempotencyStore

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
  store = new PostgresIdempotencyStore(pool)
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

idempotencyStoreContract(
  () => store,
  (ms) => passOnKeys(pool)(ms),
)
