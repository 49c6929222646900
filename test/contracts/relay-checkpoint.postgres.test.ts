import { afterAll, beforeAll } from '@jest/globals'
import type pg from 'pg'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresRelayCheckpoint } from '../../infra/postgres/relay-checkpoint.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { relayCheckpointContract } from './relay-checkpoint.contract.ts'

let database: TestDatabase
let pool: pg.Pool

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
})

afterAll(async () => {
  await pool.end()
  await database.close()
})

relayCheckpointContract(async () => {
  await pool.query(`UPDATE relay_checkpoint
    SET owner = NULL, expires_at = '-infinity', position = NULL, mark = NULL`)
  const pass = async (ms: number): Promise<void> => {
    const text = `UPDATE relay_checkpoint SET expires_at = expires_at - $1 * interval '1 ms'`
    await pool.query({ text, values: [ms] })
  }
  return { checkpoint: new PostgresRelayCheckpoint(pool), pass }
})
