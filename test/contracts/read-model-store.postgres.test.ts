import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type pg from 'pg'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { factTable, readModelStoreContract, thingTable } from './read-model-store.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let store: PostgresReadModelStore

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
  store = new PostgresReadModelStore(pool)
  await pool.query(`
    CREATE TABLE contract_thing (
      thing_id text PRIMARY KEY, label text, number integer, amount numeric(40, 0),
      happened_at timestamptz, facts json, is_open boolean
    ) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000);
    CREATE INDEX contract_thing_open ON contract_thing (label) WHERE is_open;
    CREATE TABLE contract_fact (fact_id text PRIMARY KEY, label text);`)
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

readModelStoreContract(() => store)

test('a rebuilt table has the indexes and settings of the one that it replaces', async () => {
  const describe = async () => {
    const { rows } = await pool.query<{ settings: string[]; keys: string[] }>(
      `SELECT reloptions AS settings, ARRAY(
         SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid
       ) AS keys FROM pg_class c WHERE oid = 'contract_thing'::regclass`,
    )
    const keys = rows[0]?.keys.map((each) => each.replace(/^.* USING /, '')).sort()
    return { settings: rows[0]?.settings, keys }
  }
  const before = await describe()
  expect(before.keys).toEqual(['btree (label) WHERE is_open', 'btree (thing_id)'])
  const tables = [thingTable, factTable]
  await store.beginRebuild('settings', tables)
  await store.commit([{ name: 'settings', version: 1, from: null, to: '1' }], [], 'next')
  expect(await store.swap({ name: 'settings', version: 1, tables, compare: () => 0 })).toBe(true)
  expect(await describe()).toEqual(before)
})
