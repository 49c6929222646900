import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { testDatabase, type TestDatabase } from '../support/database.ts'

// Postgres plans a statement once per connection, by what it believes then of the tables. A quiet
// weir has no lease and an empty queue, and a vacuum that comes by says so.

const jobs = 400
/** The way into two indexes and to a row, for each job and each lease. */
const blocksPerJobMax = 20

const statements = {
  claim: `SELECT * FROM claimable('{sandbox.run}', 10, now())`,
  expired: 'SELECT * FROM expired_leases(10)',
  forget: 'SELECT forget_leases(10)',
}

let database: TestDatabase
let client: pg.Client

beforeAll(async () => {
  database = await testDatabase()
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
})

afterAll(async () => {
  await client.end()
  await database.close()
})

/** Blocks that the statement looked at. */
async function blocksOf(statement: string): Promise<number> {
  const { rows } = await client.query<{ 'QUERY PLAN': readonly [{ Plan: object }] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement}`,
  )
  const { Plan: plan } = rows[0]!['QUERY PLAN'][0]
  return Number(new Map<string, unknown>(Object.entries(plan)).get('Shared Hit Blocks'))
}

test('leases are looked up by key, though the plan was made when there were none', async () => {
  await client.query('VACUUM ANALYZE job_queue, job_lease')
  for (const statement of Object.values(statements)) await client.query(statement)
  await client.query(
    `INSERT INTO job_queue (job_id, org_id, job_type, state, priority, turn, revision,
       cancel_requested, queued_at)
     SELECT 'job' || n, 'acme', 'sandbox.run', 'queued', 0, n, 0, false, now()
     FROM generate_series(1, $1) n`,
    [jobs],
  )
  await client.query(
    `INSERT INTO job_lease (job_id, org_id, job_type, epoch, revision)
     SELECT 'job' || n, 'acme', 'sandbox.run', n, 3 FROM generate_series(1, $1) n`,
    [jobs],
  )
  for (const [name, statement] of Object.entries(statements)) {
    expect([name, (await blocksOf(statement)) < jobs * blocksPerJobMax]).toEqual([name, true])
  }
})
