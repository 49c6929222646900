import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { untilAborted } from '../../domain/until-aborted.ts'
import { loadSecretKey, localUrl, roleEnvironment, roles, type Config } from '../config.ts'
import { keepDevFile, readDevFile, type DevFile } from './dev-file.ts'
import { lockHome } from './home-lock.ts'
import { endOrphans, recordChildren } from './orphans.ts'
import { settlePorts } from './ports.ts'
import { keepPostgres, type PostgresKeeper, type StartPostgres } from './postgres-keeper.ts'
import { keepRole, type RoleKeeper } from './role-keeper.ts'
import { listenForStop, type StopRequest } from './stop-request.ts'
import { welcome } from './welcome.ts'

// lock ─▶ orphans ended ─▶ ports ─▶ Postgres ─▶ migrations ─▶ bootstrap ─▶ roles ─▶ ready
// Whatever was opened is closed in reverse order, when told to stop or when a step fails.

export interface BootstrapContext {
  readonly config: Config
  readonly databaseUrl: string
  /** What `dev.json` holds; undefined when it is missing, also on a later start. */
  readonly devFile: DevFile | undefined
}

/** What the launcher needs from the outside; src/profiles/launch.ts puts it together. */
export interface SupervisorParts {
  /** Starts the home's Postgres or takes over the one that runs. Errors are for the user. */
  readonly startPostgres: StartPostgres
  /** Rejects with one sentence, without the password, when the database cannot be used. */
  checkDatabase(databaseUrl: string): Promise<void>
  migrate(databaseUrl: string): Promise<void>
  /** Fills an empty database; gives what `dev.json` shall hold when that is new. */
  bootstrap(context: BootstrapContext): Promise<DevFile | undefined>
  /** The JavaScript file that each role runs; by default `main.js` beside this folder. */
  readonly roleProgram?: string
}

const readyPollMs = 30
const readyRequestLimitMs = 2_000
const readySilenceMs = 15_000
/** How much longer than its own drain a role may take until it is killed. */
const stopMarginMs = 2_000
const lastResortMs = 10_000

/**
 * Runs weir on one machine until it is told to stop.
 *
 * @returns the exit code: 0 when told to stop, 1 when it could not start (the reason is printed)
 */
export async function supervise(config: Config, parts: SupervisorParts): Promise<number> {
  process.title = 'weir'
  // The reader of the output may leave before weir does.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  const stop = listenForStop()
  const closers: Closer[] = []
  try {
    stop.gently.addEventListener('abort', () => say('Stopping; Ctrl-C again stops at once.'))
    await run(config, parts, { stop, closers })
    return 0
  } catch (error) {
    if (stop.gently.aborted) return 0
    process.stderr.write(`weir cannot start. ${sentenceOf(error)}\n`)
    return 1
  } finally {
    stop.atOnce.addEventListener('abort', endAsLastResort)
    if (stop.atOnce.aborted) endAsLastResort()
    for (const close of closers.reverse()) await close().catch(sayError)
    stop.atOnce.removeEventListener('abort', endAsLastResort)
    stop.dispose()
  }
}

type Closer = () => Promise<void>

interface Run {
  readonly stop: StopRequest
  readonly closers: Closer[]
}

async function run(given: Config, parts: SupervisorParts, { stop, closers }: Run): Promise<void> {
  const lock = await lockHome(given.home)
  closers.push(async () => {
    lock.release()
  })
  stop.gently.addEventListener('abort', () => noteInHome(() => lock.announceStop()))
  await endOrphans(given.home)
  const config = await settlePorts(given)
  if (config.secretKey === undefined) loadSecretKey(config.home)
  let keepers: RoleKeeper[] = []
  const onMoved = (): void => {
    for (const keeper of keepers) keeper.renew()
  }
  const postgres = await openDatabase(config, parts, { onMoved, signal: stop.gently })
  closers.push(async () => await postgres.stop())
  stop.gently.throwIfAborted()
  // An index on a big table takes minutes, and so does waiting for another weir that makes it.
  await untilAborted(parts.migrate(postgres.url()), stop.atOnce)
  stop.gently.throwIfAborted()
  const context = { config, databaseUrl: postgres.url(), devFile: readDevFile(config.home) }
  const dev = keepDevFile(config, await parts.bootstrap(context))
  stop.gently.throwIfAborted()
  keepers = startRoles(config, parts, postgres)
  closers.push(async () => await stopRoles(config, keepers, stop))
  await untilReady(config, keepers, stop.gently)
  say(welcome(config, dev))
  if (config.metricsPort !== given.metricsPort) {
    say(`Metrics are on ports ${config.metricsPort} to ${config.metricsPort + roles.length - 1}.`)
  }
  await aborted(stop.gently)
}

async function openDatabase(
  config: Config,
  parts: SupervisorParts,
  { onMoved, signal }: { readonly onMoved: () => void; readonly signal: AbortSignal },
): Promise<PostgresKeeper> {
  const { databaseUrl, home } = config
  if (databaseUrl === undefined) {
    const start = async (): ReturnType<StartPostgres> => await parts.startPostgres({ home, signal })
    return await keepPostgres({ start, onMoved, say })
  }
  await parts.checkDatabase(databaseUrl)
  return { url: () => databaseUrl, stop: async () => Promise.resolve() }
}

function startRoles(
  config: Config,
  parts: SupervisorParts,
  postgres: PostgresKeeper,
): RoleKeeper[] {
  const program = parts.roleProgram ?? fileURLToPath(new URL('../main.js', import.meta.url))
  const keepers: RoleKeeper[] = []
  const onChange = (): void => {
    const pids = keepers.flatMap((keeper) => keeper.pid() ?? [])
    noteInHome(() => recordChildren(config.home, pids))
    const allReady = keepers.length === roles.length && keepers.every((keeper) => keeper.isReady())
    for (const keeper of keepers) keeper.tell({ allReady })
  }
  for (const role of roles) {
    const environment = (): Record<string, string | undefined> =>
      roleEnvironment({ ...config, databaseUrl: postgres.url() }, role)
    keepers.push(keepRole({ role, program, environment, onChange, say }))
  }
  onChange()
  return keepers
}

/** What helps the next start. A home on a full or broken disk does not end this one. */
function noteInHome(write: () => void): void {
  try {
    write()
  } catch (error) {
    sayError(error)
  }
}

async function stopRoles(
  config: Config,
  keepers: readonly RoleKeeper[],
  stop: StopRequest,
): Promise<void> {
  const kill = (): void => {
    for (const keeper of keepers) keeper.kill()
  }
  stop.atOnce.addEventListener('abort', kill)
  if (stop.atOnce.aborted) kill()
  const limitMs = config.drainMs + stopMarginMs
  await Promise.all(keepers.map(async (keeper) => await keeper.stop(limitMs)))
}

/** Waits as long as it takes: what ends is started again and says so; silence is explained. */
async function untilReady(
  config: Config,
  keepers: readonly RoleKeeper[],
  signal: AbortSignal,
): Promise<void> {
  let saidAt = performance.now()
  for (;;) {
    const waitingFor = roles.filter((_role, index) => keepers[index]?.isReady() !== true)
    if (waitingFor.length === 0 && (await isReady(config))) return
    if (performance.now() - saidAt > readySilenceMs) {
      say(`Still waiting for ${waitingFor.map((role) => `weir-${role}`).join(', ') || '/readyz'}.`)
      saidAt = performance.now()
    }
    await sleep(readyPollMs, undefined, { signal })
  }
}

async function isReady({ host, port }: Config): Promise<boolean> {
  try {
    const response = await fetch(`${localUrl(host, port)}/readyz`, {
      signal: AbortSignal.timeout(readyRequestLimitMs),
    })
    await response.body?.cancel()
    return response.status === 200
  } catch {
    return false
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  // Signal handlers do not keep a process alive, and the roles may all be between two lives.
  const alive = setInterval(() => undefined, 60_000)
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  clearInterval(alive)
}

/** Whoever presses Ctrl-C twice wants the prompt back, whatever hangs. */
function endAsLastResort(): void {
  setTimeout(() => process.exit(130), lastResortMs).unref()
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function sayError(error: unknown): void {
  process.stderr.write(`${sentenceOf(error)}\n`)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
