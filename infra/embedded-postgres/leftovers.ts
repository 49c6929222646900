import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readIfThere } from './files.ts'

const run = promisify(execFile)
const pollMs = 20
const killLimitMs = 5_000

/** What the file `postmaster.pid` says of the server that holds, or held, a data folder. */
export interface PidFile {
  readonly pid: number
  readonly port: number
  readonly isReady: boolean
}

/** undefined when there is no such file or it is not wholly written yet. */
export async function readPidFile(dataFolder: string): Promise<PidFile | undefined> {
  const text = await readIfThere(join(dataFolder, 'postmaster.pid'))
  const lines = text?.split('\n') ?? []
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  return { pid, port: Number(lines[3]), isReady: lines[7]?.trim() === 'ready' }
}

/**
 * The setting `cluster_name` of the server for a data folder. Postgres shows it in the command
 * line of each of its processes, which is how a server is found again: process numbers are used
 * again, a copied folder names the server of its original, and in a container root may not ask
 * the kernel which folder or program a process of another user has.
 */
export async function clusterNameOf(dataFolder: string): Promise<string> {
  const path = await realpath(dataFolder).catch(() => dataFolder)
  return `weir_${createHash('sha256').update(path).digest('hex').slice(0, 16)}`
}

/** Whether the process is one of the server with that cluster name, and alive. */
export async function isServing(pid: number, clusterName: string): Promise<boolean> {
  const command = process.platform === 'linux' ? await linuxCommand(pid) : await psCommand(pid)
  return isServerCommand(command, clusterName)
}

/** `/a folder/postgres -D …` is the main process, `postgres: <cluster name> …` each other one. */
function isServerCommand(command: string, clusterName: string): boolean {
  return /^(\/[^\0]*\/)?postgres[\0 :]/.test(command) && command.includes(clusterName)
}

/** Empty for a process that has ended, also when nobody has fetched its exit code yet. */
async function linuxCommand(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
}

async function psCommand(pid: number): Promise<string> {
  const output = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => undefined)
  return output?.stdout ?? ''
}

/** Resolves with whether the process had ended within `limitMs`. */
export async function hasEnded(
  pid: number,
  clusterName: string,
  limitMs: number,
): Promise<boolean> {
  const until = performance.now() + limitMs
  while (await isServing(pid, clusterName)) {
    if (performance.now() > until) return false
    await sleep(pollMs)
  }
  return true
}

/**
 * After the main process was killed its backends notice within milliseconds, unless one is busy;
 * as long as one lives, Postgres does not start again. Those still there after `graceMs` are
 * killed.
 */
export async function endOrphans(clusterName: string, graceMs: number): Promise<void> {
  const startedAt = performance.now()
  for (;;) {
    const orphans = await processesOf(clusterName)
    const waitedMs = performance.now() - startedAt
    if (orphans.length === 0 || waitedMs > graceMs + killLimitMs) return
    if (waitedMs > graceMs) for (const pid of orphans) signal(pid, 'SIGKILL')
    await sleep(pollMs)
  }
}

async function processesOf(clusterName: string): Promise<number[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-axo', 'pid=,command='], { maxBuffer: 16_000_000 })
    const lines = stdout.split('\n').map((line) => /^\s*(\d+)\s+(.*)$/.exec(line))
    const ours = lines.filter((line) => isServerCommand(line?.[2] ?? '', clusterName))
    return ours.map((line) => Number(line?.[1]))
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const checked = await Promise.all(
    pids.map(async (pid) => ((await isServing(pid, clusterName)) ? [pid] : [])),
  )
  return checked.flat()
}

/** Sends a signal to a process that may have ended already. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended; that is what was wanted.
  }
}
