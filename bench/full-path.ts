import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client.ts'
import { postgresWork } from './postgres.ts'
import type { PostgresWork } from './postgres.ts'
import { machineCpuSeconds } from './processes.ts'
import { stackCpu } from './stack-cpu.ts'
import { jobPriceMicro } from './stack.ts'
import type { Balance, Org, Stack } from './stack.ts'
import { quantile } from './statistics.ts'
import type { Watch } from './watch.ts'

const settleMsMax = 30_000
const settlePollMs = 5

export interface FullPathOptions {
  readonly jobs: number
  readonly connections: number
  /** Jobs per request; 1 is the route for one job. */
  readonly batchSize: number
}

export interface FullPathRun {
  readonly stack: string
  readonly batchSize: number
  readonly jobs: number
  /** From the first submit until the last end is pushed and all books are settled. */
  readonly jobsPerSecond: number
  readonly wallSeconds: number
  /** When, in seconds from the start, the last submit was answered and the last end pushed. */
  readonly submittedSeconds: number
  readonly pushedSeconds: number
  readonly requestMsP50: number
  readonly requestMsP99: number
  readonly cpuMsPerJob: Readonly<Record<string, number>>
  /** The load generator itself, and whatever else ran on this machine meanwhile. */
  readonly clientCpuMsPerJob: number
  readonly elsewhereCpuShare: number | null
  /** Postgres transactions that wrote something. */
  readonly writesPerJob: number
  readonly walBytesPerJob: number
}

/** Submits jobs from all connections at once and follows them until the books are settled. */
export async function runFullPath(
  stack: Stack,
  client: Client,
  watched: Watch,
  options: FullPathOptions,
): Promise<FullPathRun> {
  const requests = planRequests(stack.orgs, options)
  const before = await snapshot(stack, client)
  const requestMs = await submitAll(client, watched, requests, options.connections)
  const submittedMs = performance.now()
  await watched.drained()
  const pushedMs = performance.now()
  await booksSettled(stack, client, before.balances, requests)
  const used = resourcesUsed(stack, before)
  const work = await postgresWork(stack.databaseUrl)
  const { jobs } = options
  return {
    stack: stack.name,
    batchSize: options.batchSize,
    jobs,
    jobsPerSecond: jobs / used.wallSeconds,
    wallSeconds: used.wallSeconds,
    submittedSeconds: (submittedMs - before.atMs) / 1000,
    pushedSeconds: (pushedMs - before.atMs) / 1000,
    requestMsP50: quantile(requestMs, 0.5),
    requestMsP99: quantile(requestMs, 0.99),
    cpuMsPerJob: Object.fromEntries(
      [...used.cpu].map(([name, seconds]) => [name, (seconds * 1000) / jobs]),
    ),
    clientCpuMsPerJob: (used.clientSeconds * 1000) / jobs,
    elsewhereCpuShare: used.elsewhereShare,
    writesPerJob: (work.writes - before.work.writes) / jobs,
    walBytesPerJob: (work.walBytes - before.work.walBytes) / jobs,
  }
}

// ---- load ----

interface Request {
  readonly org: Org
  readonly jobs: number
}

function planRequests(orgs: readonly Org[], { jobs, batchSize }: FullPathOptions): Request[] {
  const requests: Request[] = []
  for (let planned = 0; planned < jobs; planned += batchSize) {
    const org = orgs[requests.length % orgs.length]
    if (org) requests.push({ org, jobs: Math.min(batchSize, jobs - planned) })
  }
  return requests
}

/** One request at a time on each connection; resolves with the milliseconds each one took. */
async function submitAll(
  client: Client,
  watched: Watch,
  requests: readonly Request[],
  connections: number,
): Promise<number[]> {
  const requestMs: number[] = []
  const queue = requests.values()
  const connection = async (): Promise<void> => {
    for (const { org, jobs } of queue) {
      const sentMs = performance.now()
      if (jobs === 1) watched.expect(await client.submit(org))
      else for (const jobId of await client.submitBatch(org, jobs)) watched.expect(jobId)
      requestMs.push(performance.now() - sentMs)
    }
  }
  await Promise.all(Array.from({ length: connections }, connection))
  return requestMs
}

/** Nothing held, and every org charged exactly for its jobs. */
async function booksSettled(
  stack: Stack,
  client: Client,
  before: ReadonlyMap<string, Balance>,
  requests: readonly Request[],
): Promise<void> {
  const deadlineMs = performance.now() + settleMsMax
  for (const org of stack.orgs) {
    const own = requests.filter((request) => request.org === org)
    const jobs = own.reduce((sum, request) => sum + request.jobs, 0)
    const available = (before.get(org.orgId)?.availableMicro ?? 0n) - BigInt(jobs) * jobPriceMicro
    for (;;) {
      const balance = await client.balance(org)
      if (balance.heldMicro === 0n && balance.availableMicro === available) break
      if (performance.now() > deadlineMs) {
        const { availableMicro, heldMicro } = balance
        const seen = `available ${String(availableMicro)}, held ${String(heldMicro)}`
        throw new Error(`${stack.name}: books not settled: ${seen}, not ${String(available)}, 0`)
      }
      await delay(settlePollMs)
    }
  }
}

// ---- where the time goes ----

interface Snapshot {
  readonly balances: ReadonlyMap<string, Balance>
  readonly work: PostgresWork
  readonly cpu: ReadonlyMap<string, number>
  readonly clientMicroseconds: number
  readonly machineSeconds: number | null
  readonly atMs: number
}

const clientMicroseconds = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

async function snapshot(stack: Stack, client: Client): Promise<Snapshot> {
  const balances = new Map<string, Balance>()
  for (const org of stack.orgs) balances.set(org.orgId, await client.balance(org))
  return {
    balances,
    work: await postgresWork(stack.databaseUrl),
    cpu: stackCpu(stack),
    clientMicroseconds: clientMicroseconds(),
    machineSeconds: machineCpuSeconds(),
    atMs: performance.now(),
  }
}

function resourcesUsed(stack: Stack, before: Snapshot) {
  const wallSeconds = (performance.now() - before.atMs) / 1000
  const now = stackCpu(stack)
  const cpu = new Map([...now].map(([name, used]) => [name, used - (before.cpu.get(name) ?? 0)]))
  const clientSeconds = (clientMicroseconds() - before.clientMicroseconds) / 1e6
  const machineNow = machineCpuSeconds()
  const ours = clientSeconds + [...cpu.values()].reduce((sum, seconds) => sum + seconds, 0)
  const elsewhereShare =
    machineNow === null || before.machineSeconds === null
      ? null
      : Math.max(0, machineNow - before.machineSeconds - ours) / (wallSeconds * cpus().length)
  return { wallSeconds, cpu, clientSeconds, elsewhereShare }
}
