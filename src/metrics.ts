import { createServer } from 'node:http'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { PipelineObserver } from '../domain/pipeline/command-pipeline.ts'
import type { AttemptReport } from '../workers/job-worker.ts'
import type { ProviderCall } from '../workers/handlers/handler.ts'

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]

/** What a process counts. Labels come from closed sets: never an org, a user, a job or a URL. */
export type Metrics = {
  readonly pipeline: PipelineObserver
  readonly providerCalled: (call: ProviderCall, outcome: 'ok' | 'error', ms: number) => void
  readonly attempted: (attempt: AttemptReport) => void
  readonly projected: (events: number, lagMs: number) => void
  readonly hole: () => void
  readonly delivered: (outcome: string, ms: number) => void
  /** Prometheus text, for `GET /metrics`. */
  readonly text: () => Promise<string>
}

/** @param version of weir, for `weir_build_info` */
export function openMetrics(role: string, version: string): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  new Gauge({
    ...{ name: 'weir_build_info', help: 'Always 1.', labelNames: ['role', 'version'], registers },
  }).set({ role, version }, 1)
  const seconds = (name: string, help: string, labelNames: string[] = []) =>
    new Histogram({ name, help, labelNames, buckets: secondsBuckets, registers })
  const count = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers })

  const append = seconds('weir_event_append_seconds', 'Time of an append, conflicts apart.')
  const conflicts = count('weir_event_append_conflicts_total', 'Lost races.', ['stream_category'])
  const calls = seconds('weir_provider_call_seconds', 'Provider calls.', [
    ...['provider', 'model', 'outcome'],
  ])
  const jobs = count('weir_jobs_total', 'Ended attempts.', ['job_type', 'outcome', 'error_code'])
  const run = seconds('weir_job_run_seconds', 'Time of an attempt.', ['job_type'])
  const lost = count('weir_lease_lost_total', 'Leases that were lost while a job ran.')
  const lag = seconds('weir_projection_lag_seconds', 'Age of the newest event of a page.')
  const holes = count('weir_projection_holes_total', 'Events that a read model has missed.')
  const deliveries = count('weir_webhook_deliveries_total', 'Webhook attempts.', ['outcome'])
  const delay = seconds('weir_webhook_delay_seconds', 'Time of a webhook attempt.')

  return {
    pipeline: {
      appended: (_category, _count, ms) => append.observe(ms / 1000),
      conflicted: (category) => conflicts.inc({ stream_category: category }),
    },
    providerCalled: ({ provider, model }, outcome, ms) =>
      calls.observe({ provider, model: model ?? 'none', outcome }, ms / 1000),
    attempted: ({ job, ms, outcome }) => {
      const { jobType } = job.spec
      if (outcome === 'lease_lost') lost.inc()
      jobs.inc({ job_type: jobType, outcome, error_code: errorLabel(job.error?.code) })
      run.observe({ job_type: jobType }, ms / 1000)
    },
    projected: (_events, lagMs) => lag.observe(lagMs / 1000),
    hole: () => holes.inc(),
    delivered: (outcome, ms) => {
      deliveries.inc({ outcome })
      delay.observe(ms / 1000)
    },
    text: () => registry.metrics(),
  }
}

/** Handlers may throw codes of a customer's choice; only known ones become labels. */
const knownErrors = new Set(['deadline_exceeded', 'lease_expired', 'internal', 'invalid_input'])

function errorLabel(code: string | undefined): string {
  if (code === undefined) return 'none'
  return knownErrors.has(code) ? code : 'handler'
}

/** Serves `/metrics` and `/healthz` of one process. */
export async function serveMetrics(
  metrics: Metrics,
  { port, host }: { readonly port: number; readonly host: string },
): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/healthz') response.writeHead(200).end('ok\n')
    else if (path !== '/metrics') response.writeHead(404).end()
    else {
      metrics.text().then(
        (text) =>
          response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
        () => response.writeHead(500).end(),
      )
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
}
