import { spawn, type ChildProcess } from 'node:child_process'
import { open, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Binaries } from './binaries.ts'
import { readIfThere } from './files.ts'
import { serverEnvironment } from './initialise.ts'
import { clusterNameOf, endOrphans, hasEnded, isServing, readPidFile, signal } from './leftovers.ts'
import { rotateLog, sizeOf } from './log-file.ts'
import type { Site } from './place.ts'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Server {
  readonly pid: number
  readonly port: number
  readonly exited: Promise<Exit>
}

const defaultSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '256MB',
  // Durability is what the event store promises; these two are never traded for speed.
  fsync: 'on',
  synchronous_commit: 'on',
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  // Compiling short statements costs more than it saves.
  jit: 'off',
  autovacuum: 'on',
  timezone: 'UTC',
  log_checkpoints: 'off',
  log_line_prefix: '%m [%p] %d ',
}

const pollMs = 10
const orphanGraceMs = 500
const attemptsMax = 20
const attemptDelayMs = 250
/** Replaying 2 GB of log after a crash takes a minute on a slow disk. */
const startLimitMs = 300_000
const stopSteps: readonly (readonly [NodeJS.Signals, number])[] = [
  // Fast: connections are ended, a checkpoint is written.
  ['SIGINT', 8_000],
  // Immediate: no checkpoint; the next start replays the log.
  ['SIGQUIT', 2_000],
  ['SIGKILL', 2_000],
]

/** The command line of the server; a server found running is adopted only with the same one. */
export async function commandLine(
  site: Site,
  binaries: Binaries,
  options: { readonly port: number; readonly settings: Readonly<Record<string, string>> },
): Promise<string[]> {
  const cluster_name = await clusterNameOf(site.dataFolder)
  const settings = { ...defaultSettings, ...options.settings, cluster_name }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return [binaries.postgres, '-D', site.dataFolder, '-p', String(options.port), ...flags]
}

/** Whether the running server was started with exactly this command line. */
export async function wasStartedWith(site: Site, command: readonly string[]): Promise<boolean> {
  const [program, ...flags] = command
  const expected = [program, ...flags.map((flag) => `"${flag}"`)].join(' ')
  return (await readIfThere(join(site.dataFolder, 'postmaster.opts')))?.trim() === expected
}

/**
 * Starts the server and waits until it accepts connections. It outlives this process when that is
 * killed, and does not hear the terminal's Ctrl-C.
 *
 * @param portWanted 0 for any; another one is taken when it is busy
 * @param stop gives up, and leaves no server
 * @throws Error with the server's own last words
 */
export async function launch(
  site: Site,
  portWanted: number,
  commandFor: (port: number) => Promise<string[]>,
  stop?: AbortSignal,
): Promise<Server> {
  await endOrphans(await clusterNameOf(site.dataFolder), orphanGraceMs)
  await dropForeignPidFile(site)
  await rotateLog(site.logFile)
  let port = portWanted
  for (let attempt = 1; ; attempt += 1) {
    port = await freePort(port)
    const logOffset = await sizeOf(site.logFile)
    const child = await spawnServer(site, await commandFor(port))
    const exited = exitOf(child)
    const ready = untilReady(site, child.pid ?? 0, stop)
    const isReady = await Promise.race([ready, exited.then(() => false)])
    stop?.throwIfAborted()
    if (isReady && child.pid !== undefined) return { pid: child.pid, port, exited }
    const log = await logFrom(site.logFile, logOffset)
    const words = lastWords(log)
    // Of a port that somebody else has just taken only a line before the last words tells.
    const isTransient =
      /Address already in use/i.test(log) ||
      /in use|still running|starting up|shutting down/i.test(words)
    if (!isTransient || attempt >= attemptsMax) {
      throw new Error(`Postgres did not start: ${words} (more in ${site.logFile})`)
    }
    await sleep(attemptDelayMs)
  }
}

/**
 * A process that is not our server must not keep it from starting by its number alone, nor must a
 * file that a crash has left without a number.
 */
async function dropForeignPidFile(site: Site): Promise<void> {
  const file = join(site.dataFolder, 'postmaster.pid')
  if ((await readIfThere(file)) === undefined) return
  const clusterName = await clusterNameOf(site.dataFolder)
  const pidFile = await readPidFile(site.dataFolder)
  if (pidFile === undefined) await endOrphans(clusterName, orphanGraceMs)
  else if (await isServing(pidFile.pid, clusterName)) return
  await rm(file, { force: true })
}

async function spawnServer(site: Site, command: readonly string[]): Promise<ChildProcess> {
  const [program = '', ...flags] = command
  const log = await open(site.logFile, 'a', 0o600)
  try {
    const child = spawn(program, flags, {
      ...site.account,
      cwd: '/',
      env: serverEnvironment,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    return child
  } finally {
    await log.close()
  }
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return { code: child.exitCode, signal: child.signalCode }
  }
  return await new Promise((resolve) => {
    child.once('exit', (code, name) => resolve({ code, signal: name }))
  })
}

async function untilReady(site: Site, pid: number, stop?: AbortSignal): Promise<boolean> {
  const clusterName = await clusterNameOf(site.dataFolder)
  const until = performance.now() + startLimitMs
  while (performance.now() < until) {
    const pidFile = await readPidFile(site.dataFolder)
    if (pidFile?.pid === pid && pidFile.isReady) return true
    if (!(await isServing(pid, clusterName))) return false
    if (stop?.aborted) await stopServer(pid, clusterName)
    await sleep(pollMs)
  }
  signal(pid, 'SIGQUIT')
  return false
}

/** Resolves when a server that is not our child ends; how it ended nobody can tell. */
export async function watchExit(pid: number, clusterName: string): Promise<Exit> {
  return await new Promise((resolve) => {
    const timer = setInterval(() => {
      void isServing(pid, clusterName).then((isAlive) => {
        if (isAlive) return
        clearInterval(timer)
        resolve({ code: null, signal: null })
      })
    }, 100)
    timer.unref()
  })
}

/** Stops the server within seconds, by ever harder means; all of them are safe for the data. */
export async function stopServer(pid: number, clusterName: string): Promise<void> {
  for (const [name, limitMs] of stopSteps) {
    if (!(await isServing(pid, clusterName))) return
    signal(pid, name)
    if (await hasEnded(pid, clusterName, limitMs)) return
  }
  throw new Error(`Postgres (process ${pid}) does not end.`)
}

async function freePort(wanted: number): Promise<number> {
  const probe = createServer()
  try {
    return await new Promise<number>((resolve, reject) => {
      probe.once('error', reject)
      probe.listen(wanted, '127.0.0.1', () => {
        const address = probe.address()
        resolve(typeof address === 'object' && address !== null ? address.port : wanted)
      })
    })
  } catch (error) {
    if (wanted === 0) throw error
    return await freePort(0)
  } finally {
    probe.close()
  }
}

async function logFrom(file: string, offset: number): Promise<string> {
  return (await readFile(file)).subarray(offset).toString()
}

function lastWords(log: string): string {
  const lines = log.trim().split('\n')
  const fatal = lines.find((line) => /FATAL|PANIC|error/i.test(line)) ?? lines.at(-1) ?? ''
  return fatal.replace(/^.*?(FATAL|PANIC):\s*/, '') || 'it gave no reason'
}
