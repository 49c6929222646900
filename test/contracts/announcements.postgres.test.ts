import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { PostgresAnnouncements } from '../../infra/postgres/announcements.ts'
import { PostgresAnnouncer } from '../../infra/postgres/announcer.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { type AnnouncementsHarness, announcementsContract } from './announcements.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let listener: PostgresListener
let harness: AnnouncementsHarness

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 2, applicationName: 'weir-test' })
  listener = new PostgresListener(database.url, 'weir-test')
  harness = {
    announcer: new PostgresAnnouncer(pool),
    announcements: new PostgresAnnouncements(listener),
  }
})

afterAll(async () => {
  await listener.close()
  await pool.end()
  await database.close()
})

announcementsContract(() => harness)
