// Durable submits of many callers in one process, next to BullMQ's `add` in one process: what is
// left of the comparison over HTTP (acceptance.ts) when nobody pays for requests.
//
//   npm run build && npx tsc -p bench/tsconfig.json --noCheck
//   node dist/bench/bench/submit.js
//
// A submit holds credits and writes the job down, both on the disk with fsync before it answers.
// `add` answers once Redis has the job in memory. The Redis and Postgres are those of `npm run
// bench`, with their settings.
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { accountStream } from '../domain/account/account.ts'
import { openPipelines } from '../domain/aggregates.ts'
import { jobStream } from '../domain/job/job.ts'
import { PostgresEventStore } from '../infra/postgres/event-store.ts'
import { openPool } from '../infra/postgres/pool.ts'
import { PostgresSnapshotStore } from '../infra/postgres/snapshot-store.ts'
import { SystemClock } from '../infra/system/clock.ts'
import { SystemIds } from '../infra/system/ids.ts'
import { jobSpec } from '../test/support/job-history.ts'
import { cleanUp, cleanUpAtAnyEnd, onCleanup } from './cleanup.ts'
import { migrate, startPostgres } from './postgres.ts'
import { cpuSeconds } from './processes.ts'
import { jobBody } from './stack.ts'
import { installPeer, startRedis } from './stacks/bullmq.ts'
import { median } from './statistics.ts'
import { workFolder } from './work-folder.ts'

const callers = 500
const jobs = 20_000
const orgs = 20
const connections = 8
/** One of each way does not count: nothing is compiled or cached then. */
const rounds = 4
const expiresAt = '2099-01-01T00:00:00.000Z'

const repository = resolve(import.meta.dirname, '..', '..', '..')
const ids = new SystemIds()

type Submit = (orgId: string) => Promise<void>

/** One way's run: CPU of the callers' process and of the engine, milliseconds per job. */
type Run = { readonly jobsPerSecond: number; readonly nodeMs: number; readonly engineMs: number }

function cpuMs(): { node: number; engine: number } {
  const used = cpuSeconds(process.pid, (title) =>
    /postgres|redis/.test(title) ? 'engine' : 'node',
  )
  return { node: 1_000 * (used.get('node') ?? 0), engine: 1_000 * (used.get('engine') ?? 0) }
}

/** Runs `submit` for all jobs, by all callers together. */
async function measure(orgIds: readonly string[], submit: Submit): Promise<Run> {
  let left = jobs
  const call = async (orgId: string): Promise<void> => {
    while (left > 0) {
      left -= 1
      await submit(orgId)
    }
  }
  const before = cpuMs()
  const startedMs = performance.now()
  const calls = Array.from({ length: callers }, (_, at) => call(orgIds[at % orgIds.length] ?? ''))
  await Promise.all(calls)
  const jobsPerSecond = (jobs / (performance.now() - startedMs)) * 1_000
  const after = cpuMs()
  const nodeMs = (after.node - before.node) / jobs
  return { jobsPerSecond, nodeMs, engineMs: (after.engine - before.engine) / jobs }
}

const rateOf = (runs: readonly Run[]): number => median(runs.map((run) => run.jobsPerSecond))

function line(way: string, runs: readonly Run[]): string {
  const rate = rateOf(runs).toFixed(0).padStart(6)
  const [node, engine] = [
    median(runs.map((run) => run.nodeMs)),
    median(runs.map((run) => run.engineMs)),
  ].map((ms) => ms.toFixed(2))
  return `${way.padEnd(5)} ${rate} jobs/s, ${node} + ${engine} ms of CPU per job\n`
}

const context = (orgId: string) => {
  const commandId = ids.next()
  return { commandId, orgId, actor: 'bench', correlationId: commandId, traceparent: null }
}

/** Opens accounts that can pay all jobs, and returns how a job of one is submitted. */
async function weirSubmit(folder: string, orgIds: readonly string[]): Promise<Submit> {
  const { url } = await startPostgres(folder)
  migrate(url, folder)
  const pool = openPool(url, { max: connections, applicationName: 'weir-bench' })
  onCleanup('pool', () => pool.end())
  const clock = new SystemClock()
  const observer = { appended: () => undefined, conflicted: () => undefined }
  const stores = { store: new PostgresEventStore(pool), snapshots: new PostgresSnapshotStore(pool) }
  const { accounts, jobs: pipeline } = openPipelines({ ...stores, clock, ids, observer })
  const at = jobSpec.submittedAt
  const amount = BigInt(jobSpec.estimateMicro)
  const overdraft = amount * BigInt(jobs * rounds)
  for (const orgId of orgIds) {
    const open = { type: 'OpenAccount', orgId, name: 'bench', overdraft, at } as const
    await accounts.handle(accountStream(orgId), open, context(orgId))
  }
  return async (orgId) => {
    const jobId = ids.next()
    const hold = { type: 'HoldCredits', holdId: jobId, jobId, amount, at, expiresAt } as const
    await accounts.handle(accountStream(orgId), hold, context(orgId))
    const spec = { ...jobSpec, jobId, orgId, input: jobBody.input, webhook: null }
    await pipeline.handle(jobStream(jobId), { type: 'SubmitJob', spec }, context(orgId))
  }
}

type Queue = {
  add(name: string, data: unknown, options: { jobId: string }): Promise<unknown>
  close(): Promise<void>
}
type BullMq = { Queue: new (name: string, options: { connection: { url: string } }) => Queue }

async function bullmqAdd(folder: string): Promise<Submit> {
  const peer = join(repository, 'bench', 'peers', 'bullmq')
  installPeer(peer)
  const { url } = await startRedis(folder)
  const { Queue } = createRequire(join(peer, 'package.json'))('bullmq') as BullMq
  const queue = new Queue('jobs', { connection: { url } })
  onCleanup('queue', () => queue.close())
  return async (orgId) => {
    await queue.add(jobBody.type, { orgId, input: jobBody.input }, { jobId: ids.next() })
  }
}

async function main(): Promise<void> {
  const folder = workFolder()
  const orgIds = Array.from({ length: orgs }, () => ids.next())
  const ways = { add: await bullmqAdd(folder), weir: await weirSubmit(folder, orgIds) }
  const found = { add: [] as Run[], weir: [] as Run[] }
  for (let round = 0; round < rounds; round += 1) {
    for (const way of ['add', 'weir'] as const) {
      const run = await measure(orgIds, ways[way])
      if (round > 0) found[way].push(run)
    }
  }
  for (const [way, runs] of Object.entries(found)) process.stdout.write(line(way, runs))
  process.stdout.write(`weir / add = ${(rateOf(found.weir) / rateOf(found.add)).toFixed(2)}\n`)
}

cleanUpAtAnyEnd()
try {
  await main()
} finally {
  await cleanUp()
}
