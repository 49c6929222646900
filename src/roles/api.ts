import { DomainError } from '../../domain/errors.ts'
import { enabledJobTypes } from '../../workers/handlers/registry.ts'
import { startServer } from '../http/server.ts'
import { openApiMetrics } from '../metrics/api.ts'
import type { Runtime } from '../runtime.ts'
import type { RoleParts, RunningRole } from './role.ts'

/** A stream that is never written: reading it asks the event store whether it answers. */
const streamOfNobody = 'nobody'

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
      await profile.sql('ready', 'SELECT 1', []).catch((cause: unknown) => {
        throw new DomainError('unavailable', 'The database does not answer.', {}, { cause })
      })
      await profile.store.read(streamOfNobody, 0).catch((cause: unknown) => {
        throw new DomainError('unavailable', 'The event store does not answer.', {}, { cause })
      })
    },
  }
  const server = await startServer(runtime)
  return { stop: (signal) => server.close(signal) }
}
