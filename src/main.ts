import type { LoopReport } from '../workers/loop.ts'
import { ConfigError, metricsPortOf, printableConfig, readConfig } from './config.ts'
import type { Config, Role } from './config.ts'
import { tellCrashes } from './crash.ts'
import { reportErrors } from './error-reporting.ts'
import { openLog } from './log.ts'
import type { Log } from './log.ts'
import { openMetrics } from './metrics/metrics.ts'
import { serveMetrics } from './metrics/serve.ts'
import type { RoleParts, RunningRole } from './roles/role.ts'
import { followReadiness, onParentGone, reportReady } from './supervisor/role-process.ts'
import type { TelemetryOptions } from './telemetry.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import { version } from './version.ts'

/** Longest time for connections to close when all is drained, ms. */
const closeMsMax = 1_500
/** Of these, for the last spans to be sent, ms. */
const lastSpansMsMax = 1_000

type Start = (parts: RoleParts) => Promise<RunningRole>

/** Loaded by need: a worker has no use for Nest, and starts in half the time without it. */
const starters: Readonly<Record<Role, () => Promise<Start>>> = {
  api: async () => (await import('./roles/api.ts')).startApi,
  worker: async () => (await import('./roles/worker.ts')).startWorker,
  projector: async () => (await import('./roles/projector.ts')).startProjector,
}

/** Without roles this process launches all of them; with roles it is them. */
async function main(): Promise<void> {
  const config = readConfig()
  if (config.roles.length === 0) {
    const { launch } = await import('./profiles/launch.ts')
    process.exitCode = await launch(config)
    return
  }
  await Promise.all(config.roles.map((role) => run(config, role)))
}

/** Loaded by need, like the roles. */
async function traces(options: TelemetryOptions): Promise<Telemetry> {
  return (await import('./telemetry.ts')).openTelemetry(options)
}

/** Roles of this process that have not stopped yet, or not begun. */
const serving = new Set<Role>()

/** The last role to stop ends the process; until then the others finish their work. */
function leave(role: Role, code: 0 | 1): void {
  process.exitCode ||= code
  serving.delete(role)
  if (serving.size === 0) process.exit()
}

async function run(config: Config, role: Role): Promise<void> {
  process.title = `weir-${role}`
  const written = openLog({ role, version, level: config.logLevel, folder: config.logFolder })
  const { sentryDsn: dsn } = config
  const log = dsn === undefined ? written : reportErrors(written, { dsn, role, version })
  tellCrashes(log)
  try {
    await serve(config, role, log)
  } catch (error) {
    await log.fatal({ err: error }, 'could not start')
    throw error
  }
}

async function serve(config: Config, role: Role, log: Log): Promise<void> {
  const readiness = followReadiness()
  const metrics = openMetrics(role, version)
  const telemetry = config.isTracingOn ? await traces({ role, version }) : null
  const startSpan = telemetry?.startSpan ?? null
  const { openWatched } = await import('./profiles/traced.ts')
  const start = await starters[role]()
  const report: LoopReport = (level, fields, message) => log[level](fields, message)
  const watch = { observer: metrics.pipeline, report, startSpan }
  const profile = await openWatched(config, role, watch)
  let running: RunningRole | null = null
  const stopping = new AbortController()
  const stop = async (): Promise<void> => {
    if (stopping.signal.aborted) return
    stopping.abort()
    log.info({}, 'stopping')
    // Nothing is under way yet, and whatever it waits for may not come.
    if (running === null) {
      leave(role, 0)
      return
    }
    const late = (): void => {
      log.warn({}, 'did not stop in time')
      process.exit(1)
    }
    setTimeout(late, config.drainMs + closeMsMax).unref()
    await running.stop(AbortSignal.timeout(config.drainMs))
    await closeMetrics()
    await profile.close()
    await telemetry?.close(lastSpansMsMax)
    log.info({}, 'stopped')
    leave(role, 0)
  }
  const stopSafely = (): void => {
    stop().catch((error: unknown) => {
      void log.fatal({ err: error }, 'could not stop in order').then(() => leave(role, 1))
    })
  }
  serving.add(role)
  process.on('SIGTERM', stopSafely)
  process.on('SIGINT', stopSafely)
  onParentGone(stopSafely)
  log.info({ config: printableConfig(config) }, 'starting')
  const closeMetrics = await serveMetrics(metrics.series, {
    port: metricsPortOf(config, role),
    host: config.host,
  })
  const allRolesReady = (): boolean => readiness.allRolesReady()
  const starting = start({ profile, log, metrics, startSpan, allRolesReady })
  running = await unlessStopped(starting, stopping.signal)
  if (running === null) {
    log.info({}, 'stopped')
    return
  }
  reportReady()
  log.info({ port: role === 'api' ? config.port : undefined }, 'serving')
}

/**
 * The role that has started; null when it was told to stop meanwhile and has left: then it ends at
 * once, and whatever becomes of it does not disturb roles that still finish their work.
 */
async function unlessStopped(
  starting: Promise<RunningRole>,
  signal: AbortSignal,
): Promise<RunningRole | null> {
  try {
    const running = await starting
    if (!signal.aborted) return running
    await running.stop(signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return null
}

main().catch((error: unknown) => {
  const sentence = error instanceof ConfigError ? error.message : String(error)
  process.stderr.write(`weir cannot start. ${sentence}\n`)
  process.exit(1)
})
