import { afterAll, beforeAll } from '@jest/globals'
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
