import { enabledJobTypes } from '../../workers/handlers/registry.ts'
import { JobWorker } from '../../workers/job-worker.ts'
import type { AttemptReport } from '../../workers/job-worker.ts'
import { ProviderTurns } from '../../workers/provider-turns.ts'
import { ProgressTeller } from '../../workers/progress.ts'
import { UsageMeter } from '../../workers/usage-meter.ts'
import { openWorkerMetrics } from '../metrics/worker.ts'
import { jobTraceparent, tracedJobTypes } from '../telemetry/traced-job-types.ts'
import type { RoleParts, RunningRole } from './role.ts'

/** Claims jobs, runs their handlers, records usage, stores results. */
export async function startWorker(parts: RoleParts): Promise<RunningRole> {
  const { profile, log, metrics, startSpan } = parts
  const { clock, ids, pipelines, config, signals } = profile
  const workerId = ids.next()
  const meter = new UsageMeter({
    ...{ pipelines, clock, ids },
    unpriced: ({ provider, model }) => {
      log.error({ provider, model, errorCode: 'unpriced' }, 'usage without a price was recorded')
    },
  })
  const enabled = enabledJobTypes({ sandbox: config.isSandboxOn })
  const traceparentOf = jobTraceparent(pipelines)
  const jobTypes = startSpan ? tracedJobTypes(enabled, startSpan, traceparentOf) : enabled
  const concurrency = config.workerConcurrency
  const counters = openWorkerMetrics(metrics.series, {
    ...{ jobTypes: [...jobTypes.keys()], concurrency, running: () => worker.running },
  })
  const worker: JobWorker = new JobWorker({
    ...profile,
    ...{ workerId, meter, jobTypes, concurrency },
    leaseMs: config.leaseMs,
    progress: new ProgressTeller(signals, clock),
    turns: new ProviderTurns(profile),
    observer: {
      ...{ called: counters.providerCalled, fenced: counters.fenced },
      met: (error, { jobId, epoch }) => {
        log.error({ err: error, workerId, jobId, epoch }, 'attempt met an error')
      },
    },
    report: (level, fields, message) => log[level]({ workerId, ...fields }, message),
    attempted: (attempt) => {
      counters.attempted(attempt)
      log.info(attemptFields(attempt), 'attempt')
    },
  })
  worker.start()
  return { stop: (signal) => worker.stop(signal) }
}

/** The canonical line of an attempt. */
export function attemptFields({ job, epoch, ms, outcome }: AttemptReport) {
  const { jobId, orgId, userId, jobType, traceparent } = job.spec
  const traceId = traceparent?.slice(3, 35)
  // A job keeps the error of an earlier attempt until it succeeds.
  const isError = outcome === 'failed' || outcome === 'queued'
  const errorCode = isError ? job.error?.code : undefined
  const about = { jobId, orgId, userId, jobType, traceId, correlationId: jobId }
  return { ...about, attempt: job.attempt, epoch, latencyMs: ms, outcome, errorCode }
}
