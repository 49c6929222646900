import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { migrate } from '../../infra/postgres/migrate.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await testDatabase()
})

afterAll(async () => {
  await database.close()
})

test('applies every migration once, however often and by however many it is started', async () => {
  await database.pool.query('DROP SCHEMA IF EXISTS weir CASCADE')
  await Promise.all([migrate(database.url), migrate(database.url), migrate(database.url)])
  await migrate(database.url)
  const { rows } = await database.pool.query('SELECT number, name FROM weir.migration ORDER BY 1')
  expect(rows[0]).toEqual({ number: 1, name: '0001-event-log.sql' })
})

test('refuses to go on when an applied migration was changed', async () => {
  await migrate(database.url)
  await database.pool.query(`UPDATE weir.migration SET sha256 = 'other' WHERE number = 1`)
  await expect(migrate(database.url)).rejects.toThrow('0001-event-log.sql was changed')
})
