import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await testDatabase()
})

afterAll(() => database.close())

test('each test database is its own', async () => {
  const other = await testDatabase()
  await database.pool.query('CREATE TABLE only_here (id int)')
  const tables = await other.pool.query("SELECT 1 FROM pg_tables WHERE tablename = 'only_here'")
  await other.close()
  expect(tables.rows).toEqual([])
})

test('closing a test database reports a connection that was left open', async () => {
  const other = await testDatabase()
  const leaked = new pg.Client({ connectionString: other.url })
  leaked.on('error', () => undefined)
  await leaked.connect()
  await leaked.query('SELECT 42 AS forgotten')
  await expect(other.close()).rejects.toThrow('SELECT 42 AS forgotten')
  await leaked.end().catch(() => undefined)
})
