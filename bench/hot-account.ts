// Holds of many callers on one account, next to two ways that teams build instead:
//
//   npm run build && npx tsc -p bench/tsconfig.json --noCheck
//   node dist/bench/bench/hot-account.js [database url]
//
// Without a URL it starts the embedded Postgres, with fsync, in a folder of its own. Each hold is
// answered after it is on the disk, and each way refuses what cannot be paid.
import type pg from 'pg'
import { accountStream } from '../domain/account/account.ts'
import { openPipelines } from '../domain/aggregates.ts'
import { PostgresEventStore } from '../infra/postgres/event-store.ts'
import { openPool } from '../infra/postgres/pool.ts'
import { PostgresSnapshotStore } from '../infra/postgres/snapshot-store.ts'
import { SystemClock } from '../infra/system/clock.ts'
import { SystemIds } from '../infra/system/ids.ts'
import { cleanUp, cleanUpAtAnyEnd, onCleanup } from './cleanup.ts'
import { migrate, startPostgres } from './postgres.ts'
import { median } from './statistics.ts'
import { workFolder } from './work-folder.ts'

const callers = 500
const holds = 20_000
/** The slow way gets so much less to do, or the benchmark would take minutes. */
const optimisticHolds = 1_000
const connections = 8
const rounds = 3
const amount = 1_000n
const expiresAt = '2099-01-01T00:00:00.000Z'

const ids = new SystemIds()

/** Runs `hold` so often, by all callers together. Returns holds per second. */
async function rate(count: number, hold: () => Promise<void>): Promise<number> {
  let left = count
  const call = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await hold()
    }
  }
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: callers }, call))
  return (count / (performance.now() - startedMs)) * 1_000
}

async function byWeir(pool: pg.Pool): Promise<number> {
  const clock = new SystemClock()
  const observer = { appended: () => undefined, conflicted: () => undefined }
  const stores = { store: new PostgresEventStore(pool), snapshots: new PostgresSnapshotStore(pool) }
  const { accounts } = openPipelines({ ...stores, clock, ids, observer })
  const orgId = ids.next()
  const at = '2026-01-01T00:00:00.000Z'
  const stream = accountStream(orgId)
  const context = () => {
    const commandId = ids.next()
    return { commandId, orgId, actor: 'bench', correlationId: commandId, traceparent: null }
  }
  const overdraft = amount * BigInt(holds)
  const open = { type: 'OpenAccount', orgId, name: 'hot', overdraft, at } as const
  await accounts.handle(stream, open, context())
  return rate(holds, async () => {
    const holdId = ids.next()
    const hold = { type: 'HoldCredits', holdId, jobId: holdId, amount, at, expiresAt } as const
    await accounts.handle(stream, hold, context())
  })
}

/** One statement: the row's lock lets one hold through after the other. */
async function byRowLock(pool: pg.Pool): Promise<number> {
  const account = await openRow(pool)
  return rate(holds, async () => {
    const { rowCount } = await pool.query({
      name: 'row-lock',
      text: `WITH paid AS (
          UPDATE bench_account SET held = held + $2, version = version + 1
          WHERE id = $1 AND posted - held >= $2 RETURNING id
        )
        INSERT INTO bench_hold (id, account, amount) SELECT $3, id, $2 FROM paid`,
      values: [account, String(amount), ids.next()],
    })
    if (rowCount !== 1) throw new Error('it could have been paid')
  })
}

/** Read, decide, write when nobody else was faster; else again. */
async function byOptimisticRetry(pool: pg.Pool): Promise<number> {
  const account = await openRow(pool)
  return rate(optimisticHolds, async () => {
    for (let isHeld = false; !isHeld;) {
      const { rows } = await pool.query<{ version: number; free: string }>({
        name: 'optimistic-read',
        text: 'SELECT version, posted - held AS free FROM bench_account WHERE id = $1',
        values: [account],
      })
      const [row] = rows
      if (!row || BigInt(row.free) < amount) throw new Error('it could have been paid')
      const { rowCount } = await pool.query({
        name: 'optimistic-write',
        text: `WITH paid AS (
            UPDATE bench_account SET held = held + $2, version = version + 1
            WHERE id = $1 AND version = $4 RETURNING id
          )
          INSERT INTO bench_hold (id, account, amount) SELECT $3, id, $2 FROM paid`,
        values: [account, String(amount), ids.next(), row.version],
      })
      isHeld = rowCount === 1
    }
  })
}

async function openRow(pool: pg.Pool): Promise<string> {
  const id = ids.next()
  const posted = String(amount * BigInt(holds))
  await pool.query('INSERT INTO bench_account VALUES ($1, $2, 0, 0)', [id, posted])
  return id
}

async function main(): Promise<void> {
  const folder = workFolder()
  const url = process.argv[2] ?? (await startPostgres(folder)).url
  migrate(url, folder)
  const pool = openPool(url, { max: connections, applicationName: 'weir-bench' })
  onCleanup('pool', () => pool.end())
  await pool.query(`
    DROP TABLE IF EXISTS bench_hold, bench_account;
    CREATE TABLE bench_account (
      id uuid PRIMARY KEY, posted bigint NOT NULL, held bigint NOT NULL, version integer NOT NULL
    ) WITH (fillfactor = 50);
    CREATE TABLE bench_hold (id uuid PRIMARY KEY, account uuid NOT NULL, amount bigint NOT NULL)`)
  const found = { weir: [] as number[], 'row lock': [] as number[], optimistic: [] as number[] }
  for (let round = 0; round < rounds; round += 1) {
    found.optimistic.push(await byOptimisticRetry(pool))
    found['row lock'].push(await byRowLock(pool))
    found.weir.push(await byWeir(pool))
  }
  for (const [way, rates] of Object.entries(found)) {
    process.stdout.write(`${way.padEnd(10)} ${median(rates).toFixed(0).padStart(6)} holds/s\n`)
  }
  const ratio = (other: number[]): string => (median(found.weir) / median(other)).toFixed(1)
  process.stdout.write(
    `weir / row lock = ${ratio(found['row lock'])}, ` +
      `weir / optimistic = ${ratio(found.optimistic)}\n`,
  )
}

cleanUpAtAnyEnd()
try {
  await main()
} finally {
  await cleanUp()
}
