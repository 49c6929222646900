import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { PostgresLeaseStore } from '../../infra/postgres/lease-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { passOnLeases } from '../support/lease-time.ts'
import { leaseStoreContract, type LeaseWorld } from './lease-store.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let world: LeaseWorld

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 6, applicationName: 'weir-test' })
  world = {
    leases: new PostgresLeaseStore(pool),
    store: new PostgresReadModelStore(pool),
    pass: passOnLeases(pool),
  }
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

leaseStoreContract(() => world)
