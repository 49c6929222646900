import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { onCleanup } from './cleanup.ts'

const stopMsMax = 10_000
const readyMsMax = 60_000
// USER_HZ, which Linux fixes at 100 for everything it shows in /proc (proc(5)).
const ticksPerSecond = 100

export interface Running {
  readonly pid: number
  /** Rejects when the process ends by itself; never resolves. */
  readonly died: Promise<never>
}

export interface StartOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Folder that takes the output, as `<name>.log`. */
  readonly logFolder: string
}

/** The environment without what configures another weir or another database. */
export function plainEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(WEIR_|DATABASE_URL|REDIS_URL|PG|PORT$|npm_)/.test(name)) {
      kept[name] = value
    }
  }
  return kept
}

/** Starts a process that is stopped at the latest when the benchmark ends. */
export function start(options: StartOptions): Running {
  const log = join(options.logFolder, `${options.name}.log`)
  const output = openSync(log, 'a')
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: { ...plainEnvironment(), ...options.env },
    stdio: ['ignore', output, output],
    // Out of the terminal's reach: on Ctrl-C the benchmark ends them, in its own order.
    detached: true,
  })
  closeSync(output)
  let stopping = false
  const died = new Promise<never>((_, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (stopping) return
      const tail = existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : ''
      reject(new Error(`${options.name} ended (${String(code ?? signal)}):\n${tail}`))
    })
  })
  died.catch(() => undefined)
  onCleanup(options.name, async () => {
    stopping = true
    await stopTree(child)
  })
  if (child.pid === undefined) throw new Error(`${options.name} did not start`)
  return { pid: child.pid, died }
}

async function stopTree(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const family = tree(child.pid)
  const exited = new Promise<void>((resolve) =>
    child.once('exit', () => {
      resolve()
    }),
  )
  child.kill('SIGTERM')
  const late = new AbortController()
  await Promise.race([exited, delay(stopMsMax, undefined, { signal: late.signal })])
  late.abort()
  for (const pid of family) killIfAlive(pid)
  await exited
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone already, which is what was wanted.
  }
}

/** Waits until `url` answers 200. */
export async function ready(url: string, server: Running): Promise<void> {
  const deadline = performance.now() + readyMsMax
  const answers = async (): Promise<boolean> => {
    try {
      return (await fetch(url)).ok
    } catch {
      return false
    }
  }
  while (!(await Promise.race([answers(), server.died]))) {
    if (performance.now() > deadline) throw new Error(`${url} is not ready after ${readyMsMax} ms`)
    await delay(20)
  }
}

// ---- CPU time, from /proc ----

interface ProcessRow {
  readonly pid: number
  readonly parent: number
  /** User and system time of the process and of its children that have ended. */
  readonly cpuSeconds: number
}

function processTable(): ProcessRow[] {
  if (!existsSync('/proc/self/stat')) return []
  const rows: ProcessRow[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const row = processRow(Number(name))
    if (row) rows.push(row)
  }
  return rows
}

function processRow(pid: number): ProcessRow | null {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
    // The name in parentheses may hold spaces; fields count from behind it (proc(5): field 3 on).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const field = (number: number): number => Number(fields[number - 3])
    const ticks = field(14) + field(15) + field(16) + field(17)
    return { pid, parent: field(4), cpuSeconds: ticks / ticksPerSecond }
  } catch {
    return null
  }
}

/** The living processes that this one has started. */
export function ownChildren(): number[] {
  const table = processTable()
  return table.filter(({ parent }) => parent === process.pid).map(({ pid }) => pid)
}

/** `root` and every living process below it. */
function tree(root: number): number[] {
  const table = processTable()
  const family = new Set([root])
  for (let size = 0; size !== family.size;) {
    size = family.size
    for (const row of table) if (family.has(row.parent)) family.add(row.pid)
  }
  return [...family]
}

function title(pid: number): string {
  try {
    return (
      readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8')
        .split('\0')[0]
        ?.trim() ?? ''
    )
  } catch {
    return ''
  }
}

/**
 * CPU seconds used so far below `root`, summed by what `label` says of a process title;
 * a label of null means the label of the nearest labelled process above.
 */
export function cpuSeconds(
  root: number,
  label: (title: string) => string | null,
): Map<string, number> {
  const table = processTable()
  const used = new Map<string, number>()
  const visit = (pid: number, inherited: string): void => {
    const row = table.find((candidate) => candidate.pid === pid)
    if (!row) return
    const own = label(title(pid)) ?? inherited
    used.set(own, (used.get(own) ?? 0) + row.cpuSeconds)
    for (const child of table) if (child.parent === pid) visit(child.pid, own)
  }
  visit(root, 'other')
  return used
}

/** Memory that the processes below `root` use of their own, bytes, by the same labels. */
export function memoryBytes(
  root: number,
  label: (title: string) => string | null,
): Map<string, number> {
  const used = new Map<string, number>()
  for (const pid of tree(root)) {
    const name = label(title(pid)) ?? 'other'
    used.set(name, (used.get(name) ?? 0) + proportionalBytes(pid))
  }
  return used
}

/** Shared pages count in parts (proc(5): smaps_rollup, Pss). */
function proportionalBytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8')
    return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** CPU seconds that the whole machine has spent working, null where it cannot be known. */
export function machineCpuSeconds(): number | null {
  if (!existsSync('/proc/stat')) return null
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.split(/\s+/).slice(1) ?? []
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields.map(Number)
  return (user + nice + system + irq + softirq) / ticksPerSecond
}
