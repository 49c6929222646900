import type { ProviderCall } from '../../workers/handlers/handler.ts'
import type { AttemptReport } from '../../workers/job-worker.ts'
import { closedSet } from './registry.ts'
import type { Series } from './registry.ts'

/** What a worker counts. */
export type WorkerMetrics = {
  readonly providerCalled: (call: ProviderCall, outcome: 'ok' | 'error', ms: number) => void
  readonly attempted: (attempt: AttemptReport) => void
  /** A write was refused because somebody else has the job by now. */
  readonly fenced: () => void
}

export type WorkerMetricsOptions = {
  readonly jobTypes: readonly string[]
  readonly concurrency: number
  /** How many slots are taken, when somebody looks. */
  readonly running: () => number
}

/** Names that handlers choose; far more than any installation has. */
const namesMax = 200

export function openWorkerMetrics(series: Series, options: WorkerMetricsOptions): WorkerMetrics {
  const { jobTypes, concurrency, running } = options
  const calls = series.seconds('weir_provider_call_seconds', 'Time of a provider call.', {
    ...{ provider: [], model: [], outcome: ['ok', 'error'] },
  })
  const run = series.seconds(
    'weir_job_run_seconds',
    'Time of one attempt in its worker.',
    { job_type: jobTypes },
    'long',
  )
  const lost = series.count('weir_lease_lost_total', 'Leases that were lost while a job ran.')
  const fenced = series.count(
    'weir_fenced_writes_total',
    'Writes of attempts whose lease was over, refused by their epoch.',
  )
  const slots = series.gauge('weir_worker_slots', 'Jobs that this worker can run at once.', {
    state: ['busy', 'free'],
  })
  series.refresh(async () => {
    const busy = running()
    slots(busy, { state: 'busy' })
    slots(Math.max(0, concurrency - busy), { state: 'free' })
  })
  const provider = closedSet(namesMax)
  const model = closedSet(namesMax)
  return {
    providerCalled: (call, outcome, ms) => {
      const names = { provider: provider(call.provider), model: model(call.model ?? 'none') }
      calls(ms, { ...names, outcome })
    },
    attempted: ({ job, ms, outcome }) => {
      if (outcome === 'lease_lost') lost()
      run(ms, { job_type: job.spec.jobType })
    },
    fenced: () => fenced(),
  }
}
