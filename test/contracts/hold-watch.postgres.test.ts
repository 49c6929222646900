import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { PostgresHoldWatch } from '../../infra/postgres/hold-watch.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { holdWatchContract, type HoldWatchWorld } from './hold-watch.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let world: HoldWatchWorld

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
  world = { holds: new PostgresHoldWatch(pool), store: new PostgresReadModelStore(pool) }
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

holdWatchContract(() => world)
