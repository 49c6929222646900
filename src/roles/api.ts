import { DomainError } from '../../domain/errors.ts'
import { enabledJobTypes } from '../../workers/handlers/registry.ts'
import { startServer } from '../http/server.ts'
import { openApiMetrics } from '../metrics/api.ts'
import type { Runtime } from '../runtime.ts'
import { checkEngines } from './check-engines.ts'
import type { RoleParts, RunningRole } from './role.ts'

/** HTTP commands and queries, sockets and server-sent events, the page. */
export async function startApi(parts: RoleParts): Promise<RunningRole> {
  const { profile, log, metrics, startSpan, allRolesReady } = parts
  const runtime: Runtime = {
    ...profile,
    log,
    metrics: openApiMetrics(metrics.series),
    startSpan,
    jobTypes: enabledJobTypes({ sandbox: profile.config.isSandboxOn }),
    every: (ms, run) => {
      const timer = setInterval(run, ms)
      return () => clearInterval(timer)
    },
    checkReady: async () => {
      if (!allRolesReady()) throw new DomainError('unavailable', 'weir is still starting.')
      await checkEngines(profile)
    },
  }
  const server = await startServer(runtime)
  return { stop: (signal) => server.close(signal) }
}
