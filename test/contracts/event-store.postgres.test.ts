import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { eventStoreContract } from './event-store.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let store: PostgresEventStore

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
  store = new PostgresEventStore(pool)
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

eventStoreContract(() => store)
