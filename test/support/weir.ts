import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clusterNameOf, endOrphans } from '../../infra/embedded-postgres/leftovers.ts'
import type { DevFile } from '../../src/supervisor/dev-file.ts'
import { requireBuilt } from './build.ts'
import { clusterEngines, type ClusterEngines } from './cluster-engines.ts'
import { testDatabase } from './database.ts'
import { freePorts } from './free-ports.ts'
import { waitFor } from './wait-for.ts'

/** Whether this run of the test file is the one on the cluster profile (jest.config.js). */
export const isClusterTested = 'isClusterTested' in globalThis

export const program = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url))
/** What the launcher prints once all roles serve. */
export const readyLine = 'weir is ready.'
export const readyLimitMs = 40_000
const stopLimitMs = 25_000
const endLimitMs = 10_000
const logTailLength = 5_000

export type WeirProcess = 'parent' | 'api' | 'worker' | 'projector' | 'postgres'

export interface WeirOptions {
  /** Settings beside home, ports and database. */
  readonly env?: Readonly<Record<string, string>>
  /** Its own embedded Postgres instead of a database on the server of the test run. */
  readonly isPostgresEmbedded?: boolean
  /** Engines of a cluster that weir gets and ends; by default those of the profile under test. */
  readonly engines?: ClusterEngines
}

/**
 * Starts weir in a home of its own, on free ports, and waits until it is ready. `npm test` has
 * built it; `npm run jest` does so in its set-up.
 */
export async function startWeir(options: WeirOptions = {}): Promise<Weir> {
  requireBuilt()
  const database = options.isPostgresEmbedded ? undefined : await testDatabase()
  const engines = options.engines ?? (isClusterTested ? await clusterEngines() : undefined)
  const env = { ...engines?.env, ...options.env }
  const environment = await weirEnvironment(env, database?.url)
  const weir = new Weir(environment, async () => {
    try {
      await database?.close()
    } finally {
      await engines?.stop()
    }
  })
  try {
    await weir.start()
    return weir
  } catch (error) {
    await weir.stop().catch(() => undefined)
    throw error
  }
}

/** A home of its own, free ports, and what a program of a test needs beside them. */
export async function weirEnvironment(
  env: Readonly<Record<string, string>>,
  databaseUrl: string | undefined,
  folder = tmpdir(),
): Promise<WeirEnvironment> {
  // The name tells a later test run whose remains these are, should this one be killed.
  const home = mkdtempSync(join(folder, `weir-test-${process.pid}-`))
  // Under root Postgres runs as another user, who must get to its data.
  chmodSync(home, 0o755)
  const port = await freePorts(4)
  return {
    PATH: process.env['PATH'] ?? '',
    WEIR_LOG_LEVEL: 'warn',
    WEIR_LOG_FOLDER: 'stdout',
    WEIR_ALLOW_PRIVATE_WEBHOOKS: 'true',
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
    ...env,
    WEIR_HOME: home,
    WEIR_PORT: String(port),
    WEIR_METRICS_PORT: String(port + 1),
  }
}

/** A process of a role that the launcher knows nothing of. */
export interface AddedRole {
  readonly metricsPort: number
  stop(): Promise<void>
}

export type WeirEnvironment = Readonly<Record<string, string>> & { readonly WEIR_HOME: string }

/** Where all that a weir prints is kept, beside its home. */
export function logFileOf({ WEIR_HOME: home }: WeirEnvironment): string {
  return `${home}.log`
}

/** weir as users run it: the compiled program, as a tree of processes. Needs Linux's /proc. */
export class Weir {
  readonly home: string
  readonly baseUrl: string
  readonly #environment: WeirEnvironment
  readonly #endOthers: () => Promise<void>
  #launcher: ChildProcess | undefined
  #ended: Promise<unknown> = Promise.resolve()

  /** @param endOthers ends what it runs on, once it has stopped */
  constructor(environment: WeirEnvironment, endOthers = () => Promise.resolve()) {
    this.#environment = environment
    this.#endOthers = endOthers
    this.home = environment.WEIR_HOME
    this.baseUrl = `http://127.0.0.1:${environment['WEIR_PORT']}`
  }

  /** What `dev.json` holds. */
  get dev(): DevFile {
    return JSON.parse(readFileSync(join(this.home, 'dev.json'), 'utf8')) as DevFile
  }

  /** Of the database on the server of the test run; throws when Postgres is embedded. */
  get databaseUrl(): string {
    const url = this.#environment['DATABASE_URL']
    if (url === undefined) throw new Error('The database is weir’s own.')
    return url
  }

  /** Of api, worker and projector. */
  get metricsPorts(): readonly [api: number, worker: number, projector: number] {
    const first = Number(this.#environment['WEIR_METRICS_PORT'])
    return [first, first + 1, first + 2]
  }

  /** With what a command of `weir` finds this home and its engines. */
  get toolEnvironment(): Readonly<Record<string, string>> {
    const { WEIR_LOG_FOLDER: _folder, ...environment } = this.#environment
    return environment
  }

  /** What all of its processes have printed: by default only warnings and errors. */
  get log(): string {
    return this.logSince(0)
  }

  /** What it has printed after that many characters. */
  logSince(length: number): string {
    return readIfThere(logFileOf(this.#environment)).slice(length)
  }

  /**
   * What must not be in the log after that many characters, whatever was asked: error lines, and
   * everything that is no log line from a process that died.
   */
  faultsSince(length: number): string[] {
    const lines = this.logSince(length)
      .split('\n')
      .filter((line) => line !== '')
    const hasDied = lines.some((line) => /^weir-\w+ ended/.test(line))
    return lines.filter((line) =>
      line.startsWith('{') ? /^\{"level":"(error|fatal)"/.test(line) : hasDied,
    )
  }

  /** Starts the launcher; resolves when it is ready. Again, after `quit` or a kill: a restart. */
  async start(): Promise<void> {
    const before = this.logSince(0).length
    const launcher = this.#spawn({})
    this.#launcher = launcher
    this.#ended = new Promise((resolve) => launcher.once('exit', resolve))
    const isReady = (): boolean => {
      const printed = this.logSince(before)
      if (hasExited(launcher)) throw new Error(`weir ended instead of starting: ${printed}`)
      return printed.includes(readyLine)
    }
    await waitFor('weir to be ready', isReady, readyLimitMs).catch((error: unknown) => {
      const tail = this.logSince(before).slice(-logTailLength)
      throw new Error(`${String(error)}\nIts log ends with:\n${tail}`)
    })
  }

  /** Starts one more process of a role beside those of the launcher, as on another machine. */
  async add(role: 'worker' | 'projector'): Promise<AddedRole> {
    const metricsPort = await freePorts(3)
    const added = this.#spawn({ WEIR_ROLES: role, WEIR_METRICS_PORT: String(metricsPort) })
    const closed = new Promise((resolve) => added.once('close', resolve))
    const port = metricsPort + ['api', 'worker', 'projector'].indexOf(role)
    const isUp = async (): Promise<boolean> =>
      await fetch(`http://127.0.0.1:${port}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      )
    await waitFor(`another ${role}`, isUp, readyLimitMs)
    return {
      metricsPort: port,
      stop: async () => {
        added.kill('SIGTERM')
        await waitFor(`the other ${role} to stop`, () => hasExited(added), stopLimitMs)
        await closed
      },
    }
  }

  #spawn(env: Readonly<Record<string, string>>): ChildProcess {
    const output = openSync(logFileOf(this.#environment), 'a')
    const options = { env: { ...this.#environment, ...env } }
    try {
      return spawn(process.execPath, [program], { ...options, stdio: ['ignore', output, output] })
    } finally {
      closeSync(output)
    }
  }

  pids(name: WeirProcess): number[] {
    if (name === 'postgres') return [postmasterPid(this.home)].filter(isAlive)
    const launcher = this.#launcher
    if (name === 'parent') {
      return launcher?.pid === undefined || hasExited(launcher) ? [] : [launcher.pid]
    }
    return rolePids(this.home, name)
  }

  /** Sends the signal, and resolves when the processes that got it have ended. */
  async kill(name: WeirProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const pids = this.pids(name)
    if (pids.length === 0) throw new Error(`There is no process of ${name} to kill.`)
    for (const pid of pids) process.kill(pid, signal)
    if (name === 'parent') await this.#ended
    await waitFor(`${name} to end`, () => !pids.some(isAlive), endLimitMs)
  }

  /** Ends it in order, like Ctrl-C: home and data stay. */
  async quit(): Promise<void> {
    const launcher = this.#launcher
    if (!launcher || hasExited(launcher)) return
    launcher.kill('SIGTERM')
    await waitFor('weir to stop', () => hasExited(launcher), stopLimitMs)
    await this.#ended
  }

  /** Ends whatever still runs, and removes home and database. Throws when something remained. */
  async stop(): Promise<void> {
    const wasRunning = this.pids('parent').length > 0
    const problems: unknown[] = []
    await this.quit().catch((error: unknown) => problems.push(error))
    const left = (['parent', 'api', 'worker', 'projector'] as const).flatMap((name) =>
      this.pids(name).map((pid) => ({ name, pid })),
    )
    if (wasRunning && left.length > 0) problems.push(`still there: ${JSON.stringify(left)}`)
    for (const { pid } of left) process.kill(pid, 'SIGKILL')
    await waitFor('the processes to end', () => !left.some(({ pid }) => isAlive(pid)), endLimitMs)
    const tail = this.log.slice(-logTailLength)
    await removeHome(this.home)
    rmSync(logFileOf(this.#environment), { force: true })
    await this.#endOthers().catch((error: unknown) => problems.push(error))
    if (problems.length === 0) return
    throw new Error(`weir did not stop in order: ${problems.join('; ')}\nIts log:\n${tail}`)
  }
}

function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

/** Found by their environment, as a killed launcher's roles are nobody's children any more. */
function rolePids(home: string, role: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const environment = readIfThere(`/proc/${pid}/environ`).split('\0')
      return environment.includes(`WEIR_HOME=${home}`) && environment.includes(`WEIR_ROLES=${role}`)
    })
}

function postmasterPid(home: string): number {
  const folder = postgresFolder(home)
  if (folder === undefined) return 0
  return Number(readIfThere(join(folder, 'data', 'postmaster.pid')).split('\n')[0])
}

/** Outside of the home where root's home is closed to the user `postgres`. */
function postgresFolder(home: string): string | undefined {
  const text = readIfThere(join(home, 'postgres.json'))
  if (text === '') return undefined
  const { folder } = JSON.parse(text) as { readonly folder: string }
  return isAbsolute(folder) ? folder : join(home, folder)
}

async function removeHome(home: string): Promise<void> {
  const folder = postgresFolder(home)
  if (folder !== undefined) {
    await endOrphans(await clusterNameOf(join(folder, 'data')), 0)
    rmSync(folder, { recursive: true, force: true })
  }
  rmSync(home, { recursive: true, force: true, maxRetries: 20 })
}

function isAlive(pid: number): boolean {
  const status = pid > 0 ? readIfThere(`/proc/${pid}/stat`) : ''
  return status !== '' && !status.includes(') Z ')
}

/** Empty when there is no such file, or it may not be read. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
