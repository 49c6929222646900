import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { JsonObject } from '../../domain/json.ts'
import type { OpenApi } from '../../src/http/openapi/openapi.ts'
import { sandbox } from '../support/client.ts'
import type { CallOptions, Client, Org } from '../support/client.ts'
import { OpenApiChecker } from '../support/openapi-checker.ts'
import { connect } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'
import { receiveWebhooks, type WebhookReceiver } from '../support/webhook-receiver.ts'

// What weir answers is held against what it says of itself: members that are not described, or
// missing, statuses and content types. The tests run in their order; the last one looks whether
// every operation was called.

// It publishes prices.
const used = useWeir({ isOwn: true })
const called = new Set<string>()
let checker: OpenApiChecker
let org: Org
let hook: WebhookReceiver

beforeAll(async () => {
  const { json } = await used.nobody.get<OpenApi>('/v1/openapi.json')
  checker = new OpenApiChecker(json)
  org = await used.newOrg()
  hook = await receiveWebhooks()
})

afterAll(async () => {
  await hook.close()
})

/** Calls, and expects the status and an answer that fits the document. */
async function ask<T = JsonObject>(
  client: Client,
  request: string,
  status: number,
  options: CallOptions = {},
): Promise<T> {
  const [method = '', path = ''] = request.split(' ')
  const answer = await client.call<T>(method, path, options)
  const mistakes = checker.answerMistakes(method, path, answer)
  expect({ request, status: answer.status, mistakes, text: answer.text }).toEqual({
    ...{ request, status, mistakes: [] },
    text: answer.text,
  })
  const operation = checker.operationAt(method, path)
  if (operation && status < 400) called.add(operation.operationId)
  return answer.json
}

function expectSchema(name: string, value: unknown): void {
  const schema = { $ref: `#/components/schemas/${name}` }
  expect({ name, mistakes: checker.mistakes(schema, value) }).toEqual({ name, mistakes: [] })
}

test('the answers about jobs are as described', async () => {
  const { api } = org
  const failing = sandbox({ fail: { atStep: 1, times: 9, retryable: false } })
  const webhook = { url: hook.url, events: ['job.queued', 'job.started', 'job.succeeded'] }
  const body = sandbox({ outputBytes: 100 }, { userId: 'u1', metadata: { a: 1 }, webhook })
  const key = { 'idempotency-key': 'described' }
  const headers = { ...key, prefer: 'wait=10' }
  const { jobId } = await ask<{ jobId: string }>(api, 'POST /v1/jobs', 202, { body, headers })
  await ask(api, 'POST /v1/jobs', 202, { body, headers })
  await api.finished({ jobId })
  await ask(api, `GET /v1/jobs/${jobId}`, 200)
  await ask(api, `GET /v1/jobs/${jobId}/events?limit=2`, 200)
  await ask(api, `GET /v1/jobs/${jobId}/events`, 200, {
    headers: { accept: 'text/event-stream', 'last-event-id': '1' },
  })
  await ask(api, `GET /v1/jobs/${jobId}/events?after=100`, 204, {
    headers: { accept: 'text/event-stream' },
  })
  await ask(api, `GET /v1/jobs/${jobId}/result`, 302)
  await ask(api, 'POST /v1/jobs/batch', 200, { body: { jobs: [failing, { type: 'none' }] } })
  await ask(api, 'GET /v1/jobs?status=succeeded&limit=1', 200)
  await ask(api, 'GET /v1/job-types', 200)

  const failed = await api.run(failing)
  expect(failed.status).toBe('failed')
  await ask(api, `GET /v1/jobs/${failed.jobId}`, 200)
  await ask(api, `POST /v1/jobs/${failed.jobId}/retry`, 202)
  await api.finished(failed)
  await ask(used.admin, `POST /v1/admin/jobs/${failed.jobId}/retry`, 202)
  const { jobId: later } = await api.submit(sandbox({}, { runAt: '2100-01-01T00:00:00Z' }))
  await ask(api, `POST /v1/jobs/${later}/cancel`, 202)
})

test('the refusals are as described', async () => {
  const { api } = org
  const nowhere = '019c1347-d2f8-7e5a-a1f3-0c9d4b8e2f61'
  const done = await api.run(sandbox())
  await ask(used.nobody, 'GET /v1/balance', 401)
  await ask(api, 'GET /v1/admin/orgs', 403)
  await ask(api, `GET /v1/jobs/${nowhere}`, 404)
  await ask(api, 'POST /v1/jobs', 400, { body: { input: {} } })
  await ask(api, 'POST /v1/jobs', 400, { raw: '{' })
  await ask(api, 'POST /v1/jobs', 415, { raw: 'a', headers: { 'content-type': 'text/plain' } })
  await ask(api, 'POST /v1/jobs', 422, { body: sandbox({ steps: 0 }) })
  await ask(api, 'POST /v1/jobs', 422, {
    body: sandbox({ steps: 1 }),
    headers: { 'idempotency-key': 'described' },
  })
  await ask(api, `POST /v1/jobs/${done.jobId}/cancel`, 409)
  await ask(api, `POST /v1/jobs/${done.jobId}/retry`, 409)
  await ask(api, 'GET /v1/jobs?limit=0', 400)
  await ask(api, 'GET /v1/usage/summary?groupBy=colour', 400)
  await ask(used.nobody, 'GET /v1/objects/results/none', 403)
  const poor = await used.newOrg({ credits: 1n })
  await ask(poor.api, 'POST /v1/jobs', 402, { body: sandbox() })
})

test('the answers about the account are as described', async () => {
  const { api } = org
  await waitFor('usage', async () => (await api.all('/v1/usage')).length > 0)
  await ask(api, 'GET /v1/balance', 200)
  await ask(api, 'GET /v1/balance?asOf=2100-01-01', 200)
  await ask(api, 'GET /v1/balance?by=guess', 400)
  await ask(api, 'GET /v1/ledger?limit=3', 200)
  await ask(api, 'GET /v1/ledger', 200, { headers: { accept: 'text/csv' } })
  await ask(api, 'GET /v1/limits', 200)
  await ask(api, 'GET /v1/usage?limit=1', 200)
  await ask(api, 'GET /v1/usage/summary?groupBy=userId', 200)
  await ask(api, 'GET /v1/webhook-secret', 200)
  await ask(api, 'POST /v1/tokens', 201, { body: { userId: 'u1' } })
  const upload = await ask<{ url: string; headers: Record<string, string> }>(
    api,
    'POST /v1/uploads',
    201,
    { body: { contentType: 'image/png', bytes: 3 } },
  )
  const { pathname, search } = new URL(upload.url)
  const put = { raw: 'abc', headers: upload.headers }
  await ask(used.nobody, `PUT ${pathname}${search}`, 201, put)
  await ask(used.nobody, `PUT ${pathname}${search}`, 409, put)
})

test('the answers about webhooks are as described', async () => {
  const { api } = org
  const body = { url: hook.url }
  const request = 'POST /v1/webhook-endpoints'
  const { endpointId } = await ask<{ endpointId: string }>(api, request, 201, { body })
  await ask(api, 'GET /v1/webhook-endpoints', 200)
  await ask(api, `POST /v1/webhook-endpoints/${endpointId}/rotate`, 200)
  await ask(api, `POST /v1/webhook-endpoints/${endpointId}/enable`, 200)
  const sent = await ask<{ deliveryId: string }>(
    api,
    `POST /v1/webhook-endpoints/${endpointId}/test`,
    202,
  )
  const isThere = (type: string) => hook.received.some((received) => received.body.type === type)
  await waitFor('the test', () => isThere('webhook.test') && isThere('job.succeeded'))
  for (const { body: told } of hook.received) {
    expectSchema(told.type === 'webhook.test' ? 'WebhookTest' : 'WebhookEvent', told)
  }
  await ask(api, 'GET /v1/webhook-deliveries?status=delivered', 200)
  const replay = `/v1/webhook-deliveries/${sent.deliveryId}/replay`
  await waitFor('the outcome', async () => (await api.post(replay)).status === 202)
  await waitFor('the outcome again', async () => {
    const { items } = await ask<{ items: readonly { deliveryId: string; status: string }[] }>(
      api,
      'GET /v1/webhook-deliveries',
      200,
    )
    return items.some((one) => one.deliveryId === sent.deliveryId && one.status === 'delivered')
  })
  await ask(api, `POST ${replay}`, 202)
  await ask(api, `DELETE /v1/webhook-endpoints/${endpointId}`, 204)
})

test('the answers to operators are as described', async () => {
  const { admin } = used
  const body = { name: 'described', overdraft: '5' }
  const { orgId } = await ask<{ orgId: string }>(admin, 'POST /v1/admin/orgs', 201, { body })
  const path = `/v1/admin/orgs/${orgId}`
  const { keyId } = await ask<{ keyId: string }>(admin, `POST ${path}/keys`, 201)
  const grant = { amount: '1000', kind: 'promo', reason: 'test' }
  await ask(admin, `POST ${path}/grants`, 201, { body: grant })
  const adjustment = { amount: '-500', reason: 'test' }
  await ask(admin, `POST ${path}/adjustments`, 201, { body: adjustment })
  await ask(admin, `POST ${path}/adjustments`, 402, {
    body: { amount: '-500000', reason: 'test' },
  })
  await ask(admin, `GET ${path}`, 200)
  await ask(admin, 'GET /v1/admin/orgs', 200)
  await ask(admin, `DELETE ${path}/keys/${keyId}`, 204)
  const { jobId } = await org.api.submit(sandbox({}, { runAt: '2100-01-01T00:00:00Z' }))
  await waitFor('the hold', async () => {
    const held = `GET /v1/admin/holds?orgId=${org.orgId}`
    const { items } = await ask<{ items: readonly { jobId: string }[] }>(admin, held, 200)
    return items.some((hold) => hold.jobId === jobId)
  })
  await ask(admin, 'GET /v1/admin/jobs?limit=2', 200)
  const { items } = await ask<{ items: readonly { prices: unknown }[] }>(
    admin,
    'GET /v1/admin/prices',
    200,
  )
  const prices = { prices: items[0]?.prices, reason: 'test' }
  await ask(admin, 'PUT /v1/admin/prices', 200, { body: prices })
})

test('limits, throttle and ban are as described', async () => {
  const { admin } = used
  const { orgId, api } = await used.newOrg()
  const path = `/v1/admin/orgs/${orgId}`
  const limits = [
    { scope: 'org', kind: 'requests', window: 'minute', max: 2 },
    { scope: 'user', key: 'u1', kind: 'spend', window: 'day', max: '10000' },
  ]
  await ask(admin, `PUT ${path}/limits`, 200, { body: { limits } })
  await ask(admin, `PUT ${path}/limits`, 400, { body: { limits: [...limits, ...limits] } })
  await ask(api, 'POST /v1/jobs', 202, { body: sandbox() })
  await ask(api, 'POST /v1/jobs', 429, { body: sandbox({}, { userId: 'u1' }) })
  await ask(api, 'POST /v1/jobs', 202, { body: sandbox() })
  await ask(api, 'POST /v1/jobs', 429, { body: sandbox() })
  await ask(api, 'GET /v1/limits', 200)
  const reason = 'test'
  await ask(admin, `POST ${path}/throttle`, 200, { body: { requestsPerMinute: 0, reason } })
  await ask(api, 'POST /v1/jobs', 429, { body: sandbox() })
  await ask(api, 'POST /v1/jobs/batch', 200, { body: { jobs: [sandbox()] } })
  await ask(admin, `POST ${path}/ban`, 200, { body: { reason } })
  await ask(api, 'POST /v1/jobs', 403, { body: sandbox() })
  await ask(admin, `GET ${path}`, 200)
  await ask(admin, 'GET /v1/admin/orgs', 200)
  await ask(admin, `POST ${path}/reinstate`, 200, { body: { reason } })
})

test('what operators did, and who is signed in, is as described', async () => {
  const { admin, nobody } = used
  await waitFor('an act to be listed', async () => {
    const { items } = await ask<{ items: readonly unknown[] }>(admin, 'GET /v1/admin/audit', 200)
    return items.length > 0
  })
  const session = '/v1/admin/session'
  const { adminEmail: email, adminPassword: password } = used.weir.dev
  await ask(nobody, `POST ${session}`, 201, { body: { email, password } })
  await ask(nobody, `POST ${session}`, 401, { body: { email, password: 'wrong' } })
  await ask(nobody, `POST ${session}`, 400, { body: { email } })
  await ask(admin, `GET ${session}`, 200)
  await ask(nobody, `GET ${session}`, 401)
  await ask(nobody, `DELETE ${session}`, 204)
  const headers = { origin: 'https://evil.example' }
  await ask(nobody, `DELETE ${session}`, 403, { headers })
})

test('the answers to everybody are as described', async () => {
  for (const path of ['/healthz', '/readyz', '/v1/openapi.json', '/v1/docs', '/v1/dev/session']) {
    await ask(used.nobody, `GET ${path}`, 200)
  }
  const { headers } = await used.nobody.get('/v1/docs')
  const known = { headers: { 'if-none-match': headers.get('etag') ?? '' } }
  await ask(used.nobody, 'GET /v1/docs', 304, known)
  expect(headers.get('content-security-policy')).toContain("default-src 'none'")
})

test('what sockets tell is as described', async () => {
  const { api } = org
  const socket = await connect(api.baseUrl, api.token)
  try {
    expectSchema('SocketRefusal', await socket.subscribe('job:none'))
    expectSchema('Subscribed', await socket.subscribe(`org:${org.orgId}`))
    expectSchema('Subscribed', await socket.subscribe(`balance:${org.orgId}`))
    const { jobId } = await api.submit(sandbox({ steps: 3, stepMs: 100 }))
    expectSchema('Subscribed', await socket.subscribe(`job:${jobId}`, 0))
    const isOver = () => socket.updates.some(({ type }) => type === 'job.succeeded')
    await waitFor('the end', () => isOver() && socket.balances.length > 0)
    for (const update of socket.updates) expectSchema('JobUpdate', update)
    for (const balance of socket.balances) expectSchema('BalanceUpdate', balance)
    for (const progress of socket.progress) expectSchema('JobProgress', progress)
    expectSchema('SocketDone', await socket.unsubscribe(`job:${jobId}`))
  } finally {
    socket.close()
  }
})

test('a result is downloaded as described, and every operation was called', async () => {
  const { jobId } = await org.api.run(sandbox({ outputBytes: 10 }))
  const { headers } = await org.api.get(`/v1/jobs/${jobId}/result`)
  const { pathname, search } = new URL(headers.get('location') ?? '')
  const { status } = await used.nobody.get(`${pathname}${search}`)
  expect(status).toBe(200)
  called.add('getObject')
  const described = Object.values(checker.document.paths).flatMap((item) =>
    Object.values(item).map(({ operationId }) => operationId),
  )
  expect([...called].sort()).toEqual(described.sort())
})
