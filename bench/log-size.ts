// What one job costs with a short log and with a long one, on the same installation:
//
//   npm run build && npx tsc -p bench/tsconfig.json --noCheck
//   node dist/bench/bench/log-size.js [events]
//
// The short log is that of the jobs that warm weir up. Then the lives of jobs of other orgs are
// written into the log, and weir carries them into all read models. Before each measurement jobs
// run that do not count: while the log grew, nothing else was in the caches, and after a checkpoint
// Postgres writes each page that it touches as a whole, once.
import { resolve } from 'node:path'
import { PostgresEventStore } from '../infra/postgres/event-store.ts'
import { openPool } from '../infra/postgres/pool.ts'
import { cleanUp, cleanUpAtAnyEnd, onCleanup } from './cleanup.ts'
import { connect, listen } from './client.ts'
import { runFullPath } from './full-path.ts'
import type { FullPathRun } from './full-path.ts'
import { writeHistory } from './history.ts'
import { members, text } from './json.ts'
import { query } from './postgres.ts'
import type { Stack } from './stack.ts'
import { weir } from './stacks/weir.ts'
import { watch } from './watch.ts'
import { workFolder } from './work-folder.ts'

const longLogEvents = Number(process.argv[2] ?? 200_000)
const warmUpJobs = 6_000
const jobs = 6_000
const connections = 64
const orgs = 20
const pollMs = 200

const repository = resolve(import.meta.dirname, '..', '..', '..')

type Measured = { readonly events: number; readonly run: FullPathRun }

/** Events in the log, and how many of them the slowest read model has not seen. */
async function logOf({ databaseUrl }: Stack): Promise<{ events: number; behind: number }> {
  const [row] = await query(
    databaseUrl,
    `SELECT count(*)::text AS events, (max(position) - (
         SELECT min(position::bigint) FROM weir.projection_checkpoint
       ))::text AS behind
     FROM weir.event`,
  )
  return { events: Number(text(row, 'events')), behind: Number(text(row, 'behind')) }
}

async function growTo(stack: Stack, store: PostgresEventStore, events: number): Promise<void> {
  const { events: now } = await logOf(stack)
  if (events > now) await writeHistory(store, events - now)
  while ((await logOf(stack)).behind > 0) await new Promise((go) => setTimeout(go, pollMs))
  // What a Postgres in use does by itself sooner or later.
  await query(stack.databaseUrl, 'VACUUM ANALYZE')
  await query(stack.databaseUrl, 'CHECKPOINT')
}

function costOf({ run }: Measured): number {
  return Object.values(run.cpuMsPerJob).reduce((sum, ms) => sum + ms, 0)
}

function line(measured: Measured): string {
  const { events, run } = measured
  const postgres = Number(members(run.cpuMsPerJob, 'CPU').postgres ?? 0)
  return (
    `${String(events).padStart(9)} events: ${run.jobsPerSecond.toFixed(0)} jobs/s, ` +
    `${costOf(measured).toFixed(2)} ms of CPU per job, ${postgres.toFixed(2)} of them in Postgres\n`
  )
}

async function main(): Promise<void> {
  const stack = await weir(repository).start(workFolder(), orgs)
  const client = connect(stack, connections)
  const watched = watch()
  await listen(stack, watched.onSignal)
  const pool = openPool(stack.databaseUrl, { max: 4, applicationName: 'weir-bench' })
  onCleanup('connections', () => pool.end())
  const store = new PostgresEventStore(pool)
  const run = (count: number): Promise<FullPathRun> =>
    runFullPath(stack, client, watched, { jobs: count, connections, batchSize: 1 })
  const measured: Measured[] = []
  for (const events of [0, longLogEvents]) {
    await growTo(stack, store, events)
    await run(warmUpJobs)
    const before = await logOf(stack)
    measured.push({ events: before.events, run: await run(jobs) })
  }
  const [short = 1, long = 0] = measured.map(costOf)
  process.stdout.write(measured.map(line).join(''))
  process.stdout.write(`cost long / short = ${(long / short).toFixed(2)}\n`)
}

cleanUpAtAnyEnd()
try {
  await main()
} finally {
  await cleanUp()
}
