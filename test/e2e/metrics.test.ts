import { expect, test } from '@jest/globals'
import { sandbox } from '../support/client.ts'
import { readMetrics, type Samples } from '../support/metrics.ts'
import { connect } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const used = useWeir({ isOwn: true })

const samples = async (): Promise<Samples> => await readMetrics(...used.weir.metricsPorts)

const names = [
  'http_server_request_duration_seconds',
  ...['weir_jobs_total', 'weir_queue_depth', 'weir_queue_oldest_age_seconds'],
  ...['weir_job_wait_seconds', 'weir_job_run_seconds', 'weir_job_e2e_seconds'],
  ...['weir_job_attempts_total', 'weir_worker_slots', 'weir_lease_lost_total'],
  ...['weir_fenced_writes_total', 'weir_event_append_seconds'],
  ...['weir_event_append_conflicts_total', 'weir_projection_lag_events'],
  ...['weir_projection_lag_seconds', 'weir_projection_holes_total'],
  ...['weir_consumer_last_progress_timestamp_seconds', 'weir_ws_connections'],
  ...['weir_ws_resume_total', 'weir_ws_push_delay_seconds', 'weir_webhook_deliveries_total'],
  ...['weir_webhook_delay_seconds', 'weir_credit_holds_open'],
  ...['weir_credit_hold_oldest_age_seconds', 'weir_credit_rejections_total'],
  ...['weir_ledger_drift_microcredits', 'weir_provider_call_seconds', 'weir_provider_units_total'],
  ...['weir_rate_limited_total', 'weir_auth_failures_total', 'weir_build_info'],
]

test('every metric has its name on one of the three ports from the start', async () => {
  const texts = await Promise.all(
    used.weir.metricsPorts.map(async (port) => {
      return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    }),
  )
  const all = texts.join('\n')
  expect(names.filter((name) => !all.includes(`# TYPE ${name} `))).toEqual([])
})

test('counts what happened, and names nobody', async () => {
  const { api, orgId } = await used.newOrg({ credits: 100_000n })
  const before = await samples()
  const grown = (now: Samples, name: string): number =>
    (now.get(name) ?? 0) - (before.get(name) ?? 0)
  const job = await api.run(sandbox({ steps: 2 }))
  const bad = sandbox({ steps: 1, fail: { atStep: 1, times: 9, retryable: false, code: 'odd' } })
  expect((await api.run(bad)).status).toBe('failed')
  expect((await api.post('/v1/jobs', sandbox({ steps: 900 }))).status).toBe(402)
  expect((await used.nobody.get('/v1/balance')).status).toBe(401)
  expect((await used.nobody.get('/no/such/route')).status).toBe(404)

  const type = 'job_type="sandbox.run"'
  const ended = (outcome: string, code: string): string =>
    `weir_jobs_total{${type},outcome="${outcome}",error_code="${code}"}`
  const now = await waitFor('the counters to follow', async () => {
    const seen = await samples()
    return grown(seen, ended('failed', 'other')) === 1 ? seen : undefined
  })
  expect(grown(now, ended('succeeded', 'none'))).toBe(1)
  expect(grown(now, `weir_job_e2e_seconds_count{${type}}`)).toBe(2)
  expect(grown(now, `weir_job_run_seconds_count{${type}}`)).toBe(2)
  expect(grown(now, 'weir_credit_rejections_total{reason="insufficient_credits"}')).toBe(1)
  expect(grown(now, 'weir_auth_failures_total{reason="missing"}')).toBe(1)
  const units = 'weir_provider_units_total{provider="sandbox",model="none",unit="requests"}'
  expect(grown(now, units)).toBe(2)
  const unknown = [...now.keys()].filter((name) => name.includes('http_route="unknown"'))
  expect(unknown.length).toBeGreaterThan(0)
  const text = [...now.keys()].join('\n')
  for (const secret of [orgId, job.jobId, '/no/such/route']) expect(text).not.toContain(secret)
})

test('gauges follow open sockets and waiting jobs', async () => {
  const { api } = await used.newOrg()
  const runAt = new Date(Date.now() + 60_000).toISOString()
  const { jobId } = await api.submit(sandbox({}, { runAt }))
  const socket = await connect(used.weir.baseUrl, api.token)
  const scheduled = 'weir_queue_depth{job_type="sandbox.run",state="scheduled"}'
  await waitFor('the gauges', async () => {
    const seen = await samples()
    const holds = seen.get('weir_credit_holds_open')
    return seen.get(scheduled) === 1 && seen.get('weir_ws_connections') === 1 && holds === 1
  })
  socket.close()
  await api.cancel(jobId)
  await waitFor('the gauges to fall', async () => {
    const seen = await samples()
    const holds = seen.get('weir_credit_holds_open')
    return seen.get(scheduled) === 0 && seen.get('weir_ws_connections') === 0 && holds === 0
  })
})
