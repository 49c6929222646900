import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { CheckpointMoved } from '../../domain/ports/read-model-store.ts'
import { migrate } from '../../infra/postgres/migrate.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { jobStatusTable } from '../../projections/job-status.ts'
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

test('ends a rebuild, whose tables would lack what a migration adds', async () => {
  const pool = openPool(database.url, { max: 1, applicationName: 'weir-test' })
  const store = new PostgresReadModelStore(pool)
  const fill = (from: string | null, to: string) =>
    store.commit([{ name: 'job_status', version: 1, from, to }], [], 'next')
  const drop = `DROP INDEX weir.job_status_created; DELETE FROM weir.migration WHERE number = 13`
  const tables = [jobStatusTable]
  try {
    await store.beginRebuild('job_status', tables)
    await fill(null, '10')
    await migrate(database.url)
    await fill('10', '20')

    await database.pool.query(drop)
    await migrate(database.url)
    await expect(fill('20', '30')).rejects.toThrow(CheckpointMoved)
    await expect(store.load(jobStatusTable, ['j1'], 'next')).rejects.toThrow(CheckpointMoved)
    const put = [{ table: jobStatusTable, put: [], remove: ['j1'] }]
    await expect(store.commit([], put, 'next')).rejects.toThrow(CheckpointMoved)
    const swap = { name: 'job_status', version: 1, tables, compare: () => 0 }
    expect(await store.swap(swap)).toBe(false)
    await store.beginRebuild('job_status', tables)
    expect(await store.load(jobStatusTable, ['j1'], 'next')).toEqual([])
  } finally {
    await pool.end()
  }
})

test('goes on from a migration that was rewritten with the same effect, no other', async () => {
  await migrate(database.url)
  const { rows } = await database.pool.query<{ sha256: string }>(
    'SELECT sha256 FROM weir.migration WHERE number = 10',
  )
  const become = (sha256: string | undefined) =>
    database.pool.query('UPDATE weir.migration SET sha256 = $1 WHERE number = 10', [sha256])
  await become('bc39eae02b4a2075c1bc585fbf0e8a5a7871a82b4535aa24efa3d5c4dbd43e92')
  await expect(migrate(database.url)).resolves.toBeUndefined()
  await become('ac39eae02b4a2075c1bc585fbf0e8a5a7871a82b4535aa24efa3d5c4dbd43e92')
  await expect(migrate(database.url)).rejects.toThrow('0010-planned-once.sql was changed')
  await become(rows[0]?.sha256)
})

test('refuses to go on when an applied migration was changed', async () => {
  await migrate(database.url)
  await database.pool.query(`UPDATE weir.migration SET sha256 = 'other' WHERE number = 1`)
  await expect(migrate(database.url)).rejects.toThrow('0001-event-log.sql was changed')
})
