import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type pg from 'pg'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresSignals } from '../../infra/postgres/signals.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { signalsContract } from './signals.contract.ts'

let database: TestDatabase
let pool: pg.Pool
let listener: PostgresListener
let signals: PostgresSignals

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 2, applicationName: 'weir-test' })
  listener = new PostgresListener(database.url, 'weir-test')
  signals = new PostgresSignals(pool, listener)
})

afterAll(async () => {
  await listener.close()
  await pool.end()
  await database.close()
})

signalsContract(() => signals)

test('a notification that is no signal is ignored', async () => {
  const heard: unknown[] = []
  const stop = await signals.subscribe('job_cancel', (payload) => heard.push(payload))
  await database.pool.query(`NOTIFY weir_signal_job_cancel, 'not JSON'`)
  await signals.publish('job_cancel', { jobIds: ['j'] })
  await waitFor('the signal', () => heard.length === 1)
  expect(heard).toEqual([{ jobIds: ['j'] }])
  await stop()
})

test('a signal that no notification can carry is dropped and counted', async () => {
  await signals.publish('job_progress', { jobId: 'j', message: 'x'.repeat(9_000) })
  await signals.publish('job_updates', { jobs: [{ jobId: 'y'.repeat(9_000) }] })
  expect(signals.dropped).toBe(2)
})
