import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { PostgresSnapshotStore } from '../../infra/postgres/snapshot-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { snapshotStoreContract } from './snapshot-store.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let store: PostgresSnapshotStore

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
  store = new PostgresSnapshotStore(pool)
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

snapshotStoreContract(() => store)
