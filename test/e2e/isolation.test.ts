import { beforeAll, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { Client, expectProblem, expectStatus, sandbox, type Org } from '../support/client.ts'
import { connect } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const used = useWeir()
/** Owns what the others must not see. */
let owner: Org
let stranger: Org
let running: JobView
let failed: JobView
let succeeded: JobView

beforeAll(async () => {
  owner = await used.newOrg()
  stranger = await used.newOrg()
  const fail = { atStep: 1, times: 9, retryable: false }
  running = await owner.api.submit(sandbox({ steps: 1, stepMs: 120_000 }, { userId: 'u1' }))
  failed = await owner.api.run(sandbox({ fail }, { userId: 'u1' }))
  succeeded = await owner.api.run(sandbox({}, { userId: 'u2' }))
  await owner.api.until(running.jobId, 'running')
})

async function tokenFor(request: object): Promise<Client> {
  const answer = await owner.api.post<{ token: string }>('/v1/tokens', request)
  return new Client(used.weir.baseUrl, expectStatus(answer, 201).token)
}

async function keyWith(scopes: readonly string[]): Promise<Client> {
  const path = `/v1/admin/orgs/${owner.orgId}/keys`
  const answer = await used.admin.post<{ apiKey: string }>(path, { scopes })
  return new Client(used.weir.baseUrl, expectStatus(answer, 201).apiKey)
}

test('a job of another org is not there, on any route that takes its id', async () => {
  const { api } = stranger
  const before = await owner.api.events(running.jobId)
  for (const { jobId } of [running, failed, succeeded]) {
    const path = `/v1/jobs/${jobId}`
    const sse = { accept: 'text/event-stream' }
    const answers = [
      await api.get(path),
      await api.get(`${path}/events`),
      await api.get(`${path}/events?after=-1`, sse),
      await api.get(`${path}/result`),
      await api.post(`${path}/cancel`),
      await api.post(`${path}/retry`),
    ]
    const nobodys = await api.get(path.replace(/.$/, (last) => (last === '0' ? '1' : '0')))
    for (const answer of answers) {
      const { detail } = expectProblem(answer, 404, 'not_found')
      // Nothing tells whether the id exists elsewhere.
      expect(detail).toBe(expectProblem(nobodys, 404, 'not_found').detail)
    }
  }
  expect(await owner.api.events(running.jobId)).toEqual(before)
})

test('lists, usage and balance hold nothing of another org', async () => {
  const { api } = stranger
  await waitFor('the owner to see them', async () => (await owner.api.all('/v1/jobs')).length === 3)
  expect(await api.all('/v1/jobs')).toEqual([])
  expect(await api.all(`/v1/jobs?userId=u1&orgId=${owner.orgId}`)).toEqual([])
  expect(await api.all('/v1/usage')).toEqual([])
  expect(await api.all(`/v1/usage?jobId=${succeeded.jobId}`)).toEqual([])
  expect((await api.get('/v1/usage/summary')).json).toEqual({ items: [] })
  expect(await api.balance()).toMatchObject({ orgId: stranger.orgId, held: '0' })
  const secrets = await Promise.all(
    [owner, stranger].map((org) => org.api.get<{ secret: string }>('/v1/webhook-secret')),
  )
  expect(new Set(secrets.map(({ json }) => json.secret)).size).toBe(2)
})

test('ids that are none are not found, whatever they hold', async () => {
  const odd = ['x', '..', '%2e%2e', '%00', 'A'.repeat(299), `${running.jobId}%0a`, '*', '%', "'--"]
  for (const id of [...odd, running.jobId.toUpperCase(), `${running.jobId} `]) {
    for (const path of [`/v1/jobs/${id}/events`, `/v1/jobs/${id}/result`]) {
      const answer = await owner.api.get(path)
      expect([400, 404]).toContain(answer.status)
      if (answer.status === 404) expectProblem(answer, 404, 'not_found')
    }
    const answer = await owner.api.post(`/v1/jobs/${id}/cancel`)
    expect([400, 404]).toContain(answer.status)
  }
})

test("a client token reads its user's jobs, and may do nothing else", async () => {
  const client = await tokenFor({ userId: 'u1' })
  expect(await client.job(running.jobId)).toMatchObject({ jobId: running.jobId })
  expect((await client.events(failed.jobId)).length).toBeGreaterThan(0)
  expectProblem(await client.get(`/v1/jobs/${failed.jobId}/result`), 404, 'not_found')
  for (const path of ['', '/events', '/result']) {
    const answer = await client.get(`/v1/jobs/${succeeded.jobId}${path}`)
    expectProblem(answer, 404, 'not_found')
  }
  const forbidden = [
    await client.get('/v1/jobs'),
    await client.post('/v1/jobs', sandbox()),
    await client.post('/v1/jobs/batch', { jobs: [sandbox()] }),
    await client.post(`/v1/jobs/${running.jobId}/cancel`),
    await client.post(`/v1/jobs/${failed.jobId}/retry`),
    await client.get('/v1/balance'),
    await client.get('/v1/usage'),
    await client.get('/v1/webhook-secret'),
    await client.post('/v1/tokens', {}),
    await client.post('/v1/uploads', { contentType: 'a/b', bytes: 1 }),
    await client.get('/v1/admin/orgs'),
  ]
  for (const answer of forbidden) expectProblem(answer, 403, 'forbidden')
})

test('a client token for channels reads those jobs alone', async () => {
  const client = await tokenFor({ channels: [`job:${succeeded.jobId}`] })
  expect(await client.job(succeeded.jobId)).toMatchObject({ status: 'succeeded' })
  expect((await client.download(succeeded.jobId)).sha256).toBe(succeeded.result?.sha256)
  expectProblem(await client.get(`/v1/jobs/${failed.jobId}`), 404, 'not_found')
  const nothing = await tokenFor({})
  expectProblem(await nothing.get(`/v1/jobs/${succeeded.jobId}`), 404, 'not_found')
})

test('a client token names its org: one of another org reads nothing here', async () => {
  const answer = await stranger.api.post<{ token: string }>('/v1/tokens', {
    userId: 'u1',
    channels: [`job:${succeeded.jobId}`],
  })
  const client = new Client(used.weir.baseUrl, expectStatus(answer, 201).token)
  for (const { jobId } of [running, failed, succeeded]) {
    expectProblem(await client.get(`/v1/jobs/${jobId}`), 404, 'not_found')
  }
})

test('a client token that was changed, or has expired, is none', async () => {
  const { token = '' } = await tokenFor({ userId: 'u2' })
  const [head = '', payload = '', signature = ''] = token.split(/(?<=weir_client_)|\./)
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  const widened = { ...claims, scopes: ['jobs:write', 'jobs:read'], userId: 'u1' }
  const forged = Buffer.from(JSON.stringify(widened)).toString('base64url')
  for (const each of [`${head}${forged}.${signature}`, `${head}${payload}.`, `${token}x`, head]) {
    const client = new Client(used.weir.baseUrl, each)
    expectProblem(await client.get(`/v1/jobs/${running.jobId}`), 401, 'unauthenticated')
  }
  const brief = await tokenFor({ userId: 'u1', ttlSeconds: 1 })
  await waitFor('its end', async () => {
    const answer = await brief.get(`/v1/jobs/${running.jobId}`)
    return answer.status === 401
  })
})

test('what a token may be asked for is limited', async () => {
  const bad = [
    { ttlSeconds: 0 },
    { ttlSeconds: 3_601 },
    { ttlSeconds: '60' },
    { userId: '' },
    { userId: 'x'.repeat(129) },
    { channels: ['org:x'] },
    { channels: 'job:x' },
    { scopes: ['jobs:write'] },
    [],
  ]
  for (const request of bad) {
    expectProblem(await owner.api.post('/v1/tokens', request), 400, 'invalid_request')
  }
  const answer = await owner.api.post<{ expiresAt: string }>('/v1/tokens', {})
  const secondsLeft = (Date.parse(answer.json.expiresAt) - Date.now()) / 1_000
  expect(secondsLeft).toBeGreaterThan(290)
  expect(secondsLeft).toBeLessThanOrEqual(300)
})

test('a key does what its scopes allow', async () => {
  const reads = ['/v1/jobs', `/v1/jobs/${succeeded.jobId}`, '/v1/job-types']
  const bills = ['/v1/balance', '/v1/usage', '/v1/usage/summary']
  const [reader, biller, writer, hooker] = await Promise.all([
    keyWith(['jobs:read']),
    keyWith(['billing:read']),
    keyWith(['jobs:write']),
    keyWith(['webhooks:write']),
  ])
  const statuses = async (client: Client, paths: readonly string[]) =>
    await Promise.all(paths.map(async (path) => (await client.get(path)).status))
  expect(await statuses(reader, [...reads, ...bills])).toEqual([200, 200, 200, 403, 403, 403])
  expect(await statuses(biller, [...reads, ...bills])).toEqual([403, 403, 403, 200, 200, 200])
  expect(await statuses(hooker, ['/v1/webhook-secret', '/v1/jobs'])).toEqual([200, 403])
  expectProblem(await reader.post('/v1/jobs', sandbox()), 403, 'forbidden')
  expectProblem(await biller.post('/v1/uploads', {}), 403, 'forbidden')
  expectProblem(await writer.get('/v1/jobs'), 403, 'forbidden')
  const job = expectStatus(await writer.post<JobView>('/v1/jobs', sandbox()), 202)
  await owner.api.finished(job)
})

test('a key hears on a socket what its scopes let it read, and nothing else', async () => {
  const { orgId } = owner
  const channels = [`job:${succeeded.jobId}`, `org:${orgId}`, `balance:${orgId}`]
  const heardBy = async (scopes: readonly string[]) => {
    const socket = await connect(used.weir.baseUrl, (await keyWith(scopes)).token)
    const answers = await Promise.all(channels.map((channel) => socket.subscribe(channel)))
    socket.close()
    return answers.map(({ ok, code }) => (ok ? 'ok' : code))
  }
  expect(await heardBy(['jobs:read'])).toEqual(['ok', 'ok', 'not_found'])
  expect(await heardBy(['billing:read'])).toEqual(['not_found', 'not_found', 'ok'])
  expect(await heardBy(['webhooks:write'])).toEqual(['not_found', 'not_found', 'not_found'])
})

test('a revoked key is refused by the next request, and the other key works on', async () => {
  const path = `/v1/admin/orgs/${owner.orgId}/keys`
  const issued = await used.admin.post<{ keyId: string; apiKey: string }>(path, {})
  const { keyId, apiKey } = expectStatus(issued, 201)
  const client = new Client(used.weir.baseUrl, apiKey)
  expectStatus(await client.get('/v1/balance'), 200)
  expect((await used.admin.call('DELETE', `${path}/${keyId}`)).status).toBe(204)
  expectProblem(await client.get('/v1/balance'), 401, 'unauthenticated')
  expectStatus(await owner.api.get('/v1/balance'), 200)
})

test('an admin token is none of an org, and no key opens the admin routes', async () => {
  for (const path of ['/v1/jobs', '/v1/balance', `/v1/jobs/${running.jobId}`]) {
    expectProblem(await used.admin.get(path), 403, 'forbidden')
  }
  for (const path of ['/v1/admin/orgs', `/v1/admin/orgs/${owner.orgId}`, '/v1/admin/prices']) {
    expectProblem(await owner.api.get(path), 403, 'forbidden')
  }
  const grant = { amount: '1', kind: 'promo', reason: 'mine' }
  const path = `/v1/admin/orgs/${owner.orgId}/grants`
  expectProblem(await owner.api.post(path, grant), 403, 'forbidden')
  expectProblem(await used.nobody.post(path, grant), 401, 'unauthenticated')
})

test('the end of it: the running job was not touched by any of this', async () => {
  expect(await owner.api.job(running.jobId)).toMatchObject({ status: 'running', attempt: 1 })
  expectStatus(await owner.api.cancel(running.jobId), 202)
  await owner.api.finished(running)
})
