import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Client, newOrg, sandbox } from '../support/client.ts'
import { startWeir, type Weir } from '../support/weir.ts'
import { waitFor } from '../support/wait-for.ts'

let weir: Weir

beforeAll(async () => {
  weir = await startWeir({ env: { WEIR_DRAIN_MS: '60000' } })
})

afterAll(async () => weir.stop())

test('an api that is told to stop answers who waits for a job, and ends its streams', async () => {
  const { api } = await newOrg(new Client(weir.baseUrl, weir.dev.adminToken))
  const headers = { authorization: `Bearer ${api.token}`, 'content-type': 'application/json' }
  const later = { runAt: '2099-01-01T00:00:00Z' }
  const { jobId } = await api.submit(sandbox({}, later))
  const stream = await fetch(`${weir.baseUrl}/v1/jobs/${jobId}/events`, {
    headers: { ...headers, accept: 'text/event-stream' },
  })
  const told = stream.text()
  const waiting = fetch(`${weir.baseUrl}/v1/jobs`, {
    method: 'POST',
    headers: { ...headers, prefer: 'wait=60' },
    body: JSON.stringify(sandbox({}, later)),
  })
  await waitFor('the second job', async () => {
    const { json } = await api.get<{ items: readonly unknown[] }>('/v1/jobs')
    return json.items.length === 2
  })
  await weir.kill('api', 'SIGTERM')
  const answer = await waiting
  expect(answer.status).toBe(202)
  expect(await answer.json()).toMatchObject({ status: 'queued' })
  expect(await told).toContain('event: job.queued')
})
