import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { cleanUp, cleanUpAtAnyEnd, scoped } from './cleanup.ts'
import { runAcceptance } from './acceptance.ts'
import type { AcceptanceRun } from './acceptance.ts'
import { connect, listen } from './client.ts'
import { runFullPath } from './full-path.ts'
import type { FullPathRun } from './full-path.ts'
import { describeMachine } from './machine.ts'
import { memoryBytes } from './processes.ts'
import { Heard, runPushDelay } from './push-delay.ts'
import type { PushDelayRun } from './push-delay.ts'
import { render } from './report.ts'
import type { MemoryRun, Results } from './report.ts'
import type { Stack, StackFactory } from './stack.ts'
import { bullmqPeer, redisIsInstalled } from './stacks/bullmq.ts'
import { weir, weirCluster } from './stacks/weir.ts'
import { runStartLatency, signalTap } from './start-latency.ts'
import type { StartLatencyRun } from './start-latency.ts'
import { watch } from './watch.ts'
import { workFolder } from './work-folder.ts'

/** Seen from dist/bench/bench, where this file is built to. */
const repository = resolve(import.meta.dirname, '..', '..', '..')

interface Plan {
  readonly jobs: number
  readonly warmUpJobs: number
  readonly batchSize: number
  readonly orgs: number
  readonly connections: number
  readonly rounds: number
  readonly latencySamples: number
  /** Seven events each. */
  readonly steadyJobsPerSecond: number
  readonly steadySeconds: number
}

const fullPlan: Plan = {
  jobs: 5000,
  warmUpJobs: 1000,
  batchSize: 100,
  orgs: 20,
  connections: 64,
  rounds: 2,
  latencySamples: 200,
  steadyJobsPerSecond: 143,
  steadySeconds: 10,
}

const smokePlan: Plan = {
  jobs: 40,
  warmUpJobs: 10,
  batchSize: 10,
  orgs: 4,
  connections: 8,
  rounds: 1,
  latencySamples: 5,
  steadyJobsPerSecond: 50,
  steadySeconds: 0.2,
}

const { values: flags } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    only: { type: 'string' },
    jobs: { type: 'string' },
    rounds: { type: 'string' },
    connections: { type: 'string' },
    save: { type: 'string' },
    folder: { type: 'string' },
  },
})

function readPlan(): Plan {
  const plan = flags.smoke ? smokePlan : fullPlan
  const number = (name: string, value: string | undefined, otherwise: number): number => {
    const read = value === undefined ? otherwise : Number(value)
    if (!Number.isInteger(read) || read < 1) throw new Error(`--${name} takes a whole number ≥ 1`)
    return read
  }
  return {
    ...plan,
    jobs: number('jobs', flags.jobs, plan.jobs),
    rounds: number('rounds', flags.rounds, plan.rounds),
    connections: number('connections', flags.connections, plan.connections),
  }
}

/** The peer first, so that nothing weir does can leave the machine worse for it. */
function chooseStacks(): StackFactory[] {
  const all = [bullmqPeer(repository), weir(repository)]
  if (flags.only !== undefined) {
    const known = [...all, weirCluster(repository)]
    const wanted = flags.only.split(',')
    if (!wanted.every((each) => known.some(({ name }) => name === each))) {
      throw new Error(`--only takes ${known.map(({ name }) => name).join(', ')}`)
    }
    return known.filter(({ name }) => wanted.includes(name))
  }
  if (redisIsInstalled()) return all
  const missing = 'redis-server is not installed, so the peer cannot run (Debian: redis-server)'
  if (process.env.CI === 'true' || !flags.smoke) throw new Error(`${missing}; or use --only weir`)
  process.stderr.write(`${missing}\n`)
  return all.filter(({ name }) => name === 'weir')
}

interface Round {
  readonly memory: MemoryRun
  readonly fullPath: FullPathRun[]
  readonly acceptance: AcceptanceRun[]
  readonly startLatency: StartLatencyRun
  readonly pushDelay: PushDelayRun
}

/** A fresh installation, warmed up; idle latency, then the full path with and without batches. */
async function runRound(factory: StackFactory, folder: string, plan: Plan): Promise<Round> {
  mkdirSync(folder)
  chmodSync(folder, 0o711)
  const stack = await factory.start(folder, plan.orgs)
  const client = connect(stack, plan.connections)
  const [watched, tap, heard] = [watch(), signalTap(), new Heard()]
  await listen(stack, (signal) => {
    heard.onSignal(signal)
    watched.onSignal(signal)
    tap.onSignal(signal)
  })
  const { jobs, connections, batchSize } = plan
  const memory = memoryOf(stack)
  const run = (count: number, size: number): Promise<FullPathRun> =>
    runFullPath(stack, client, watched, { jobs: count, connections, batchSize: size })
  await run(plan.warmUpJobs, 1)
  const startLatency = await runStartLatency(stack, client, tap, plan.latencySamples)
  const { steadyJobsPerSecond: jobsPerSecond, steadySeconds: seconds } = plan
  const steady = { jobsPerSecond, seconds }
  const pushDelay = await runPushDelay(stack, client, { watched, heard }, steady)
  const fullPath = [await run(jobs, 1), await run(jobs, batchSize)]
  const accept = (orgs: number): Promise<AcceptanceRun> =>
    runAcceptance(stack, client, { jobs, connections, orgs })
  const acceptance = [await accept(plan.orgs), await accept(1)]
  return { memory, startLatency, pushDelay, fullPath, acceptance }
}

function memoryOf(stack: Stack): MemoryRun {
  const bytes: Record<string, number> = {}
  for (const { pid } of stack.processes) {
    for (const [name, used] of memoryBytes(pid, stack.label)) {
      bytes[name] = (bytes[name] ?? 0) + used
    }
  }
  return { stack: stack.name, bytes }
}

async function main(): Promise<void> {
  const plan = readPlan()
  const stacks = chooseStacks()
  const folder = workFolder(flags.folder)
  const machine = describeMachine(folder)
  const rounds: Round[] = []
  for (let number = 1; number <= plan.rounds; number++) {
    for (const factory of stacks) {
      const name = `${factory.name}-${String(number)}`
      process.stderr.write(`${name} …\n`)
      rounds.push(await scoped(() => runRound(factory, join(folder, name), plan)))
    }
  }
  const results: Results = {
    date: new Date().toISOString(),
    commit: commit(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    machine,
    fullPath: rounds.flatMap(({ fullPath }) => fullPath),
    startLatency: rounds.map(({ startLatency }) => startLatency),
    pushDelay: rounds.map(({ pushDelay }) => pushDelay),
    acceptance: rounds.flatMap(({ acceptance }) => acceptance),
    memory: rounds.map(({ memory }) => memory),
  }
  process.stdout.write(`\n${render(results)}\nsaved as ${save(results)}\n`)
}

function commit(): string {
  try {
    const options = { cwd: repository, encoding: 'utf8' } as const
    return execFileSync('git', ['describe', '--always', '--dirty'], options).trim()
  } catch {
    return 'unknown'
  }
}

/** `run-<date>.json` is not kept in git; a run saved under a name is. */
function save(results: Results): string {
  const run = flags.smoke ? 'run-smoke' : `run-${results.date.replaceAll(':', '-')}`
  const name = flags.save ?? run
  const file = join('bench', 'results', `${name}.json`)
  writeFileSync(join(repository, file), `${JSON.stringify(results, null, 2)}\n`)
  return file
}

cleanUpAtAnyEnd()
try {
  await main()
} catch (error) {
  process.exitCode = 1
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
} finally {
  await cleanUp()
}
