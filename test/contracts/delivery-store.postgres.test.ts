import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { PostgresDeliveryStore } from '../../infra/postgres/delivery-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { passOnDeliveries } from '../support/lease-time.ts'
import { deliveryStoreContract } from './delivery-store.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let store: PostgresDeliveryStore

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
  store = new PostgresDeliveryStore(pool)
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

deliveryStoreContract(
  () => store,
  (ms) => passOnDeliveries(pool)(ms),
)
