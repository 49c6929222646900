import type { AcceptanceRun } from './acceptance.ts'
import type { FullPathRun } from './full-path.ts'
import type { Machine } from './machine.ts'
import type { PushDelayRun } from './push-delay.ts'
import type { StartLatencyRun } from './start-latency.ts'
import { median } from './statistics.ts'

export interface Results {
  readonly date: string
  readonly commit: string
  readonly command: string
  readonly machine: Machine
  readonly fullPath: readonly FullPathRun[]
  readonly startLatency: readonly StartLatencyRun[]
  readonly pushDelay: readonly PushDelayRun[]
  readonly acceptance: readonly AcceptanceRun[]
  readonly memory: readonly MemoryRun[]
}

/** What an idle installation uses, by parts. */
export interface MemoryRun {
  readonly stack: string
  readonly bytes: Readonly<Record<string, number>>
}

/** Everything as text: a line per run, the ratio, and where the time goes. */
export function render(results: Results): string {
  const { machine } = results
  const sections = [
    `${results.date}  commit ${results.commit}  ${results.command}`,
    `${machine.cpu} × ${String(machine.cores)}, Node ${machine.node}, ${machine.platform}, ` +
      `fsync ${machine.fsyncMs.toFixed(2)} ms, load ${machine.load.toFixed(2)} before`,
  ]
  const sizes = [...new Set(results.fullPath.map(({ batchSize }) => batchSize))]
  for (const size of sizes) {
    const runs = results.fullPath.filter(({ batchSize }) => batchSize === size)
    sections.push(fullPathSection(size, runs))
  }
  if (results.startLatency.length > 0) sections.push(latencySection(results.startLatency))
  if (results.pushDelay.length > 0) sections.push(pushSection(results.pushDelay))
  for (const orgs of new Set(results.acceptance.map((run) => run.orgs))) {
    sections.push(acceptanceSection(results.acceptance.filter((run) => run.orgs === orgs)))
  }
  if (results.memory.length > 0) sections.push(memorySection(results.memory))
  sections.push(...disturbance(results.fullPath))
  return `${sections.join('\n\n')}\n`
}

function fullPathSection(batchSize: number, runs: readonly FullPathRun[]): string {
  const jobs = String(runs[0]?.jobs ?? 0)
  const how = batchSize === 1 ? 'one job per request' : `${String(batchSize)} jobs per request`
  const speed = table(
    ['', 'jobs/s', 'seconds', 'submitted', 'pushed', 'request p50', 'p99 ms', 'other load'],
    runs.map((run) => [
      run.stack,
      run.jobsPerSecond.toFixed(0),
      run.wallSeconds.toFixed(2),
      run.submittedSeconds.toFixed(2),
      run.pushedSeconds.toFixed(2),
      run.requestMsP50.toFixed(1),
      run.requestMsP99.toFixed(1),
      run.elsewhereCpuShare === null ? '-' : `${(run.elsewhereCpuShare * 100).toFixed(0)} %`,
    ]),
  )
  return [
    `FULL PATH, ${how}, ${jobs} jobs: submit to pushed end and settled books`,
    speed,
    medians(runs),
    '',
    'where the time goes: CPU milliseconds per job (medians)',
    whereTimeGoes(runs),
  ].join('\n')
}

const stacksOf = (runs: readonly { stack: string }[]): string[] => [
  ...new Set(runs.map(({ stack }) => stack)),
]

const ratios = [
  ['weir', 'bullmq'],
  ['weir-cluster', 'weir'],
] as const

function medians(runs: readonly FullPathRun[]): string {
  const rates = new Map(
    stacksOf(runs).map((stack) => [stack, medianOf(runs, stack, (run) => run.jobsPerSecond)]),
  )
  const parts = [...rates].map(([stack, rate]) => `${stack} ${rate.toFixed(0)} jobs/s`)
  for (const [stack, beside] of ratios) {
    const [one, other] = [rates.get(stack), rates.get(beside)]
    if (one === undefined || other === undefined) continue
    parts.push(`${stack} / ${beside} = ${(one / other).toFixed(2)}`)
  }
  return `median: ${parts.join(', ')}`
}

type Figure = (run: FullPathRun) => number

const medianOf = (runs: readonly FullPathRun[], stack: string, figure: Figure): number =>
  median(runs.filter((run) => run.stack === stack).map(figure))

function whereTimeGoes(runs: readonly FullPathRun[]): string {
  const order = [
    'api',
    'worker',
    'projector',
    'parent',
    'postgres',
    'redis',
    'kafka',
    'eventstoredb',
    's3',
  ]
  const seen = new Set(runs.flatMap((run) => Object.keys(run.cpuMsPerJob)))
  const parts = [...order.filter((part) => seen.has(part)), ...[...seen].filter(isNew(order))]
  const rows = stacksOf(runs).map((stack) => {
    const of = (figure: Figure): number => medianOf(runs, stack, figure)
    const has = (part: string): boolean =>
      runs.some((run) => run.stack === stack && part in run.cpuMsPerJob)
    return [
      stack,
      ...parts.map((part) =>
        has(part) ? of((run) => run.cpuMsPerJob[part] ?? 0).toFixed(3) : '-',
      ),
      of(cpuMsOfStack).toFixed(3),
      of((run) => run.clientCpuMsPerJob).toFixed(3),
      of((run) => run.writesPerJob).toFixed(2),
      of((run) => run.walBytesPerJob).toFixed(0),
    ]
  })
  return table(['', ...parts, 'sum', 'load generator', 'commits/job', 'WAL B/job'], rows)
}

const cpuMsOfStack: Figure = (run) =>
  Object.values(run.cpuMsPerJob).reduce((sum, part) => sum + part, 0)

const isNew = (known: readonly string[]) => (part: string) => !known.includes(part)

/** Above this, the figures say more about the neighbours than about the stacks. */
const quietShareMax = 0.1

function disturbance(runs: readonly FullPathRun[]): string[] {
  const worst = Math.max(...runs.map((run) => run.elsewhereCpuShare ?? 0))
  if (worst <= quietShareMax) return []
  const percent = (worst * 100).toFixed(0)
  return [`NOT QUIET: other programs took up to ${percent} % of this machine during a run.`]
}

function latencySection(runs: readonly StartLatencyRun[]): string {
  const samples = String(runs[0]?.samples ?? 0)
  const rows = runs.map((run) => [
    run.stack,
    ...[run.answeredMsP50, run.startedMsP50, run.startedMsP99].map((ms) => ms.toFixed(1)),
    ...[run.succeededMsP50, run.succeededMsP99].map((ms) => ms.toFixed(1)),
  ])
  return [
    `START LATENCY, idle, ${samples} jobs one after another: ms from submit to what a socket hears`,
    table(['', 'answer p50', 'started p50', 'p99', 'succeeded p50', 'p99'], rows),
  ].join('\n')
}

function pushSection(runs: readonly PushDelayRun[]): string {
  const ms = (value: number | null): string => value?.toFixed(1) ?? '-'
  const rows = runs.map((run) => [
    run.stack,
    run.jobsPerSecond.toFixed(0),
    ...[run.pushedMsP50, run.pushedMsP99, run.succeededMsP50, run.succeededMsP99].map(ms),
    run.cpuMsPerJob.toFixed(2),
  ])
  return [
    'STEADY LOAD: ms from the time of an event until a subscribed socket hears it (bullmq does not',
    'say when), and from the submit until the push of the end; CPU time of all parts',
    table(['', 'jobs/s', 'event p50', 'p99', 'succeeded p50', 'p99', 'CPU ms/job'], rows),
  ].join('\n')
}

function acceptanceSection(runs: readonly AcceptanceRun[]): string {
  const [first] = runs
  const where = first?.orgs === 1 ? 'one hot account' : `${String(first?.orgs ?? 0)} accounts`
  const rows = runs.map((run) => [
    run.stack,
    ...[run.jobsPerSecond.toFixed(0), run.requestMsP50.toFixed(1), run.requestMsP99.toFixed(1)],
  ])
  return [
    `ACCEPTANCE, ${where}, ${String(first?.jobs ?? 0)} jobs, one per request: weir holds and`,
    'writes to disk before it answers; bullmq only adds to its queue, without fsync',
    table(['', 'jobs/s', 'request p50', 'p99 ms'], rows),
  ].join('\n')
}

function memorySection(runs: readonly MemoryRun[]): string {
  const parts = [...new Set(runs.flatMap(({ bytes }) => Object.keys(bytes)))]
  const megabytes = (bytes: number | undefined): string =>
    bytes === undefined ? '-' : (bytes / 1_000_000).toFixed(0)
  const rows = runs.map(({ stack, bytes }) => {
    const others = Object.entries(bytes).filter(([part]) => part !== 'postgres')
    const sum = others.reduce((total, [, used]) => total + used, 0)
    return [stack, ...parts.map((part) => megabytes(bytes[part])), megabytes(sum)]
  })
  return ['MEMORY, idle: MB of each part', table(['', ...parts, 'without postgres'], rows)].join(
    '\n',
  )
}

/** Columns as wide as their widest cell; the first is text, the others are numbers. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows]
  const widths = head.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  )
  const cell = (text: string, column: number): string => {
    const width = widths[column] ?? 0
    return column === 0 ? text.padEnd(width) : text.padStart(width)
  }
  return lines.map((line) => `  ${line.map(cell).join('  ')}`).join('\n')
}
