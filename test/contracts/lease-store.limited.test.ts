import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { PostgresLeaseStore } from '../../infra/postgres/lease-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { concurrencyLimitTable } from '../../projections/concurrency-limit.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { passOnLeases } from '../support/lease-time.ts'
import { leaseStoreContract, type LeaseWorld } from './lease-store.contract.ts'

// While one org limits what runs, claims of all orgs take another way through Postgres. It has to
// keep the same promises.

let database: TestDatabase
let pool: pg.Pool
let world: LeaseWorld

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 6, applicationName: 'weir-test' })
  const store = new PostgresReadModelStore(pool)
  const pass = passOnLeases(pool)
  world = { leases: new PostgresLeaseStore(pool), store, pass, isLimited: true }
  const limits = [{ scope: 'org', key: null, max: 1, until: null }]
  const limited = { table: concurrencyLimitTable, put: [{ orgId: 'limited', limits }], remove: [] }
  await store.commit([], [limited], 'live')
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

leaseStoreContract(() => world)
