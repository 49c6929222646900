import { checkDatabase } from '../infra/embedded-postgres/check-database.ts'
import { startEmbeddedPostgres } from '../infra/embedded-postgres/embedded-postgres.ts'
import { migrate } from '../infra/postgres/migrate.ts'
import { ConfigError, metricsPortOf, printableConfig, readConfig } from './config.ts'
import type { Config, Role } from './config.ts'
import { openLog } from './log.ts'
import { openMetrics, serveMetrics } from './metrics.ts'
import { bootstrap } from './profiles/bootstrap.ts'
import { openEmbedded } from './profiles/embedded.ts'
import { startApi } from './roles/api.ts'
import { startProjector } from './roles/projector.ts'
import type { RoleParts, RunningRole } from './roles/role.ts'
import { startWorker } from './roles/worker.ts'
import { followReadiness, onParentGone, reportReady } from './supervisor/role-process.ts'
import { supervise } from './supervisor/supervise.ts'
import { version } from './version.ts'

const starters: Readonly<Record<Role, (parts: RoleParts) => Promise<RunningRole>>> = {
  api: startApi,
  worker: startWorker,
  projector: startProjector,
}

/** Without roles this process launches all of them; with roles it is them. */
async function main(): Promise<void> {
  const config = readConfig()
  if (config.roles.length === 0) process.exitCode = await launch(config)
  else await Promise.all(config.roles.map((role) => run(config, role)))
}

async function launch(config: Config): Promise<number> {
  return supervise(config, {
    startPostgres: startEmbeddedPostgres,
    checkDatabase,
    migrate,
    bootstrap: async ({ config: settled, databaseUrl, devFile }) => {
      if (devFile) return undefined
      const silent = { appended: () => undefined, conflicted: () => undefined }
      const profile = openEmbedded({ ...settled, databaseUrl }, 'bootstrap', silent)
      try {
        return await bootstrap(profile)
      } finally {
        await profile.close()
      }
    },
  })
}

async function run(config: Config, role: Role): Promise<void> {
  process.title = `weir-${role}`
  const readiness = followReadiness()
  const log = openLog({ role, version, level: config.logLevel, folder: config.logFolder })
  const metrics = openMetrics(role, version)
  const profile = openEmbedded(config, role, metrics.pipeline)
  log.info({ config: printableConfig(config) }, 'starting')
  const closeMetrics = await serveMetrics(metrics, {
    port: metricsPortOf(config, role),
    host: config.host,
  })
  const allRolesReady = (): boolean => readiness.allRolesReady()
  const running = await starters[role]({ profile, log, metrics, allRolesReady })
  reportReady()
  log.info({ port: role === 'api' ? config.port : undefined }, 'serving')
  let isStopping = false
  const stop = async (): Promise<void> => {
    if (isStopping) return
    isStopping = true
    log.info({}, 'stopping')
    await running.stop(AbortSignal.timeout(config.drainMs))
    await closeMetrics()
    await profile.close()
    log.info({}, 'stopped')
    process.exit(0)
  }
  const stopSafely = (): void => {
    stop().catch((error: unknown) => {
      log.error({ err: error }, 'could not stop in order')
      process.exit(1)
    })
  }
  process.on('SIGTERM', stopSafely)
  process.on('SIGINT', stopSafely)
  onParentGone(stopSafely)
}

main().catch((error: unknown) => {
  const sentence = error instanceof ConfigError ? error.message : String(error)
  process.stderr.write(`weir cannot start. ${sentence}\n`)
  process.exit(1)
})
