import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { WebhookDeliveryView } from '../../src/queries/list-webhook-deliveries.ts'
import type { WebhookEndpointView } from '../../src/queries/list-webhook-endpoints.ts'
import { Client, expectProblem, expectStatus, sandbox, type Org } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'
import {
  expectedSignature,
  receiveWebhooks,
  type Received,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts'

type Registered = WebhookEndpointView & { readonly secret: string }
type Rotated = { readonly secret: string; readonly previousSecretEndsAt: string }

const used = useWeir()
const receivers: WebhookReceiver[] = []
let org: Org
let api: Client

beforeEach(async () => {
  org = await used.newOrg()
  api = org.api
})

afterEach(async () => {
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()))
})

async function receiver(answer?: (count: number) => number): Promise<WebhookReceiver> {
  const opened = await receiveWebhooks((_, count) => answer?.(count) ?? 204)
  receivers.push(opened)
  return opened
}

async function register(url: string, events?: readonly string[]): Promise<Registered> {
  const body = events ? { url, events } : { url }
  return expectStatus(await api.post<Registered>('/v1/webhook-endpoints', body), 201)
}

const listed = async () => await api.all<WebhookEndpointView>('/v1/webhook-endpoints')

const deliveries = async (query = '') =>
  await api.all<WebhookDeliveryView>(`/v1/webhook-deliveries${query}`)

async function received({ received: all }: WebhookReceiver, count: number, limitMs = 10_000) {
  await waitFor(`${count} webhooks`, () => all.length >= count, limitMs)
  return all
}

async function delivery(status: WebhookDeliveryView['status']): Promise<WebhookDeliveryView> {
  return await waitFor(`a delivery to be ${status}`, async () => {
    const [first] = await deliveries(`?status=${status}`)
    return first
  })
}

const typesOf = (all: readonly Received[]) => all.map(({ body }) => body.type)
const idOf = (one: Received | undefined) => one?.headers['webhook-id']
const signaturesOf = (one: Received | undefined) =>
  String(one?.headers['webhook-signature']).split(' ')

test('an endpoint hears of every job of its org, signed with its own secret', async () => {
  const hook = await receiver()
  const events = ['job.started', 'job.succeeded', 'job.failed', 'job.canceled', 'job.expired']
  const registered = await register(hook.url)
  const { endpointId, secret } = registered
  expect(registered).toMatchObject({ url: hook.url, events, status: 'enabled', disabledAt: null })
  expect(secret).toMatch(/^whsec_[\w+/]{43}=$/)
  const { secret: _, ...shown } = registered
  expect(await listed()).toEqual([shown])

  const job = await api.run(sandbox({}, { metadata: { order: 7 } }))
  const all = await received(hook, 2)
  expect(typesOf(all).sort()).toEqual(['job.started', 'job.succeeded'])
  for (const one of all) {
    expect(signaturesOf(one)).toEqual([expectedSignature(one, secret)])
    expect(one.body.data).toMatchObject({ jobId: job.jobId, metadata: { order: 7 } })
  }
  await waitFor('both to be delivered', async () => {
    return (await deliveries('?status=delivered')).length === 2
  })
  expect(await deliveries()).toMatchObject(
    ['job.succeeded', 'job.started'].map((type) => ({
      ...{ endpointId, jobId: job.jobId, url: hook.url, type, status: 'delivered', attempts: 1 },
      ...{ nextAttemptAt: null, lastStatus: 204, lastError: null },
    })),
  )
  expect((await deliveries()).map(({ deliveryId }) => deliveryId).sort()).toEqual(
    all.map(idOf).sort(),
  )
})

test('an endpoint hears of what comes after it, also of a job that had begun', async () => {
  const hook = await receiver()
  const job = await api.submit(sandbox({ steps: 2, stepMs: 400 }))
  await api.until(job.jobId, 'running')
  await register(hook.url)
  await api.finished(job)
  expect(typesOf(await received(hook, 1))).toEqual(['job.succeeded'])
})

test('a rotated secret and the one before it both sign', async () => {
  const hook = await receiver()
  const { endpointId, secret } = await register(hook.url)
  const path = `/v1/webhook-endpoints/${endpointId}`
  const before = Date.now()
  const rotated = expectStatus(await api.post<Rotated>(`${path}/rotate`), 200)
  expect(rotated.secret).not.toBe(secret)
  const endsAt = Date.parse(rotated.previousSecretEndsAt)
  expect(Math.abs(endsAt - before - 24 * 3_600_000)).toBeLessThan(60_000)

  const sent = expectStatus(await api.post<WebhookDeliveryView>(`${path}/test`), 202)
  expect(sent).toMatchObject({ endpointId, jobId: null, type: 'webhook.test', status: 'pending' })
  const [one] = await received(hook, 1)
  expect(one?.body).toMatchObject({ type: 'webhook.test', data: { endpointId } })
  expect(idOf(one)).toBe(sent.deliveryId)
  expect(signaturesOf(one)).toEqual(
    [rotated.secret, secret].map((each) => expectedSignature(one!, each)),
  )
})

test('the same Idempotency-Key rotates once', async () => {
  const { endpointId } = await register('https://example.com/hook')
  const key = { 'idempotency-key': 'rotate-1' }
  const path = `/v1/webhook-endpoints/${endpointId}/rotate`
  const first = expectStatus(await api.post<Rotated>(path, undefined, key), 200)
  const again = expectStatus(await api.post<Rotated>(path, undefined, key), 200)
  expect(again).toEqual(first)
})

test('an endpoint that answers 410 is disabled and gets nothing more', async () => {
  const [gone, other] = [await receiver(() => 410), await receiver()]
  const { endpointId } = await register(gone.url, ['job.succeeded'])
  await register(other.url, ['job.succeeded'])
  await api.run(sandbox())
  await waitFor('the endpoint to be disabled', async () => {
    return (await listed()).some(({ status }) => status === 'disabled')
  })
  expect((await listed()).map((each) => [each.url, each.status])).toEqual([
    [other.url, 'enabled'],
    [gone.url, 'disabled'],
  ])
  expect(await delivery('parked')).toMatchObject({ endpointId, attempts: 1, lastStatus: 410 })
  await api.run(sandbox())
  await received(other, 2)
  expect(await deliveries()).toHaveLength(3)
  expect(gone.received).toHaveLength(1)
  expectProblem(await api.post(`/v1/webhook-endpoints/${endpointId}/test`), 409, 'conflict')
})

test('an endpoint that was disabled is enabled again, as often as it takes', async () => {
  const hook = await receiver((count) => (count === 2 ? 204 : 410))
  const { endpointId, secret: _, ...endpoint } = await register(hook.url, ['job.succeeded'])
  const isDisabled = async () => (await listed())[0]?.status === 'disabled'
  await api.run(sandbox())
  await waitFor('the endpoint to be disabled', isDisabled)
  const enable = `/v1/webhook-endpoints/${endpointId}/enable`
  const enabled = expectStatus(await api.post<WebhookEndpointView>(enable), 200)
  expect(enabled).toEqual({ ...endpoint, endpointId, status: 'enabled', disabledAt: null })
  expect(expectStatus(await api.post(enable), 200)).toEqual(enabled)
  await api.run(sandbox())
  await received(hook, 2)
  const { deliveryId } = await delivery('parked')
  // What was parked is sent again, and says once more that nobody listens.
  expectStatus(await api.post(`/v1/webhook-deliveries/${deliveryId}/replay`), 202)
  await waitFor('the endpoint to be disabled again', isDisabled)
  const other = await used.newOrg()
  expectProblem(await other.api.post(enable), 404, 'not_found')
})

test('a failed delivery comes again under its id, and is not replayed meanwhile', async () => {
  const hook = await receiver((count) => (count === 1 ? 500 : 204))
  await register(hook.url, ['job.succeeded'])
  await api.run(sandbox())
  const failed = await waitFor('the first attempt to be over', async () => {
    return (await deliveries('?status=pending')).find(({ attempts }) => attempts === 1)
  })
  expect(failed).toMatchObject({ lastStatus: 500, lastError: 'http_500' })
  expect(failed.nextAttemptAt).not.toBeNull()
  const replay = `/v1/webhook-deliveries/${failed.deliveryId}/replay`
  expectProblem(await api.post(replay), 409, 'conflict')
  const all = await received(hook, 2)
  expect(all.map(idOf)).toEqual([failed.deliveryId, failed.deliveryId])
  expect(await delivery('delivered')).toMatchObject({ attempts: 2, lastStatus: 204 })
})

test('a parked delivery is sent again when it is replayed', async () => {
  const hook = await receiver((count) => (count === 1 ? 410 : 204))
  await api.run(sandbox({}, { webhook: { url: hook.url, events: ['job.succeeded'] } }))
  const parked = await delivery('parked')
  expect(parked).toMatchObject({ endpointId: null, nextAttemptAt: null, lastError: 'http_410' })
  const replay = `/v1/webhook-deliveries/${parked.deliveryId}/replay`
  const other = await used.newOrg()
  expectProblem(await other.api.post(replay), 404, 'not_found')
  const queued = expectStatus(await api.post<WebhookDeliveryView>(replay), 202)
  const { createdAt, deliveryId } = parked
  expect(queued).toMatchObject({ deliveryId, createdAt, status: 'pending', attempts: 0 })
  const all = await received(hook, 2)
  expect(all.map(idOf)).toEqual([deliveryId, deliveryId])
  expect(all[1]?.raw).toEqual(all[0]?.raw)
  expect(await delivery('delivered')).toMatchObject({ deliveryId, attempts: 1 })
})

test('a removed endpoint is gone: nothing is sent to it, nothing replayed', async () => {
  const [removed, other] = [await receiver(() => 410), await receiver()]
  const { endpointId } = await register(removed.url, ['job.succeeded'])
  await register(other.url, ['job.succeeded'])
  await api.run(sandbox())
  const { deliveryId } = await delivery('parked')
  const path = `/v1/webhook-endpoints/${endpointId}`
  expect((await api.call('DELETE', path)).status).toBe(204)
  expect((await api.call('DELETE', path)).status).toBe(204)
  expect((await listed()).map(({ url }) => url)).toEqual([other.url])
  expectProblem(await api.post(`${path}/rotate`), 404, 'not_found')
  expectProblem(await api.post(`${path}/test`), 404, 'not_found')
  expectProblem(await api.post(`/v1/webhook-deliveries/${deliveryId}/replay`), 409, 'conflict')
  await api.run(sandbox())
  await received(other, 2)
  expect(removed.received).toHaveLength(1)
})

test('an endpoint belongs to its org', async () => {
  const { endpointId } = await register('https://example.com/hook')
  const { api: other } = await used.newOrg()
  const path = `/v1/webhook-endpoints/${endpointId}`
  expectProblem(await other.call('DELETE', path), 404, 'not_found')
  expectProblem(await other.post(`${path}/rotate`), 404, 'not_found')
  expectProblem(await other.post(`${path}/test`), 404, 'not_found')
  expect(await other.all('/v1/webhook-endpoints')).toEqual([])
  expect(await other.all('/v1/webhook-deliveries')).toEqual([])
})

test('routes of webhooks need their scope', async () => {
  const keys = `/v1/admin/orgs/${org.orgId}/keys`
  const made = await used.admin.post<{ apiKey: string }>(keys, { scopes: ['jobs:write'] })
  const limited = new Client(api.baseUrl, expectStatus(made, 201).apiKey)
  const body = { url: 'https://example.com/hook' }
  expectProblem(await limited.post('/v1/webhook-endpoints', body), 403, 'forbidden')
  expectProblem(await limited.get('/v1/webhook-deliveries'), 403, 'forbidden')
})

test.each(['ftp://example.com/', 'https://169.254.169.254/latest', 'nonsense'])(
  'the URL %s is refused',
  async (url) => {
    const answer = await api.post('/v1/webhook-endpoints', { url })
    const problem = expectProblem(answer, 422, 'invalid_input')
    expect(problem.errors).toEqual([{ pointer: '/url', detail: expect.stringMatching(/\.$/) }])
  },
)

test.each([
  ['no URL', {}],
  ['no events', { url: 'https://example.com/', events: [] }],
  ['an unknown event', { url: 'https://example.com/', events: ['job.exploded'] }],
])('a registration with %s is refused', async (_, body) => {
  expectProblem(await api.post('/v1/webhook-endpoints', body), 400, 'invalid_request')
})

test('lists come in pages, newest first, and say what does not fit', async () => {
  const urls = ['a', 'b', 'c'].map((name) => `https://${name}.example.com/`)
  for (const url of urls) await register(url, ['balance.low'])
  const paged = await api.all<WebhookEndpointView>('/v1/webhook-endpoints', 1)
  expect(paged.map(({ url }) => url)).toEqual(urls.toReversed())

  const hook = await receiver()
  const { endpointId } = await register(hook.url)
  for (let sent = 0; sent < 3; sent++) await api.post(`/v1/webhook-endpoints/${endpointId}/test`)
  await received(hook, 3)
  const whole = await deliveries()
  expect(whole).toHaveLength(3)
  expect(whole.map(({ createdAt }) => createdAt)).toEqual(
    whole
      .map(({ createdAt }) => createdAt)
      .sort()
      .toReversed(),
  )
  const inPages = await api.all<WebhookDeliveryView>('/v1/webhook-deliveries', 1)
  expect(inPages.map(({ deliveryId }) => deliveryId)).toEqual(
    whole.map(({ deliveryId }) => deliveryId),
  )
  const refused = ['?status=lost', '?limit=0', '?cursor=x']
  for (const query of refused) {
    expectProblem(await api.get(`/v1/webhook-deliveries${query}`), 400, 'invalid_request')
  }
  const strange = encodeURIComponent('\u0000')
  const replay = `/v1/webhook-deliveries/${strange}/replay`
  expectProblem(await api.post(replay), 404, 'not_found')
})
