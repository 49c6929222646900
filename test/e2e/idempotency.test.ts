import { beforeEach, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { expectProblem, expectStatus, sandbox } from '../support/client.ts'
import type { Answer, Client, Org } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const startMicro = 10_000_000n

const used = useWeir()
let org: Org
let api: Client

beforeEach(async () => {
  org = await used.newOrg({ credits: startMicro })
  api = org.api
})

const withKey = (key: string) => ({ 'idempotency-key': key })

async function jobCount(by: Client = api): Promise<number> {
  return (await by.all('/v1/jobs')).length
}

function expectReplay(again: Answer<unknown>, first: Answer<unknown>): void {
  const shown = ({ status, bytes, headers }: Answer<unknown>) => ({
    ...{ status, bytes, location: headers.get('location') },
    contentType: headers.get('content-type'),
  })
  expect(shown(again)).toEqual(shown(first))
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(first.headers.get('idempotent-replayed')).toBeNull()
  expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'))
}

test('the same request again gives the first answer, byte for byte, long after too', async () => {
  const first = await api.post<JobView>('/v1/jobs', sandbox(), withKey('a'))
  expect(first.status).toBe(202)
  expectReplay(await api.post('/v1/jobs', sandbox(), withKey('a')), first)
  await api.finished(first.json)
  expectReplay(await api.post('/v1/jobs', sandbox(), withKey('a')), first)
  expectReplay(await api.post('/jobs', sandbox(), withKey('a')), first)
  await api.billed(startMicro, 2)
  expect(await jobCount()).toBe(1)
})

test('another body under the same key is refused', async () => {
  expectStatus(await api.post('/v1/jobs', sandbox(), withKey('a')), 202)
  for (const body of [sandbox({ steps: 3 }), sandbox({}, { userId: 'u1' }), {}, [], null]) {
    expectProblem(await api.post('/v1/jobs', body, withKey('a')), 422, 'idempotency_mismatch')
  }
  expect((await api.balance()).posted).not.toBe('0')
})

test('bodies are compared as JSON: order and white space do not count, values do', async () => {
  const call = async (raw: string) =>
    await api.call<JobView>('POST', '/v1/jobs', { raw, headers: withKey('a') })
  const first = await call('{"type":"sandbox.run","input":{"steps":1,"stepMs":0},"userId":"ä"}')
  expect(first.status).toBe(202)
  expectReplay(
    await call(
      ' { "userId" : "\\u00e4",\n"input":{"stepMs":0,"steps":1.0}, "type":"sandbox.run" }',
    ),
    first,
  )
  const other = await call('{"type":"sandbox.run","input":{"steps":1,"stepMs":0},"userId":"a"}')
  expectProblem(other, 422, 'idempotency_mismatch')
})

test('of many requests at once with one key, one makes a job; others wait or repeat', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => api.post<JobView>('/v1/jobs', sandbox(), withKey('a'))),
  )
  const accepted = answers.filter(({ status }) => status === 202)
  const jobIds = new Set(accepted.map(({ json }) => json.jobId))
  expect(jobIds.size).toBe(1)
  for (const answer of answers.filter(({ status }) => status !== 202)) {
    expectProblem(answer, 409, 'idempotency_in_flight')
    expect(answer.headers.get('retry-after')).toBe('1')
  }
  const [jobId = ''] = jobIds
  await api.finished({ jobId })
  await api.billed(startMicro, 2)
  expect(await jobCount()).toBe(1)
})

test('a request that waits for the end is in flight until then', async () => {
  const headers = { ...withKey('a'), prefer: 'wait=5' }
  const slow = sandbox({ steps: 1, stepMs: 700 })
  const first = api.post<JobView>('/v1/jobs', slow, headers)
  await waitFor('it to run', async () => (await jobCount()) === 1)
  expectProblem(await api.post('/v1/jobs', slow, headers), 409, 'idempotency_in_flight')
  expect((await first).json).toMatchObject({ status: 'succeeded' })
  expectReplay(await api.post('/v1/jobs', slow, headers), await first)
})

test('who leaves while it waits for the end may repeat its request at once', async () => {
  const leaving = new AbortController()
  const runAt = '2099-01-01T00:00:00Z'
  const left = api
    .call('POST', '/v1/jobs', {
      body: sandbox({}, { runAt }),
      headers: { ...withKey('a'), prefer: 'wait=60' },
      signal: leaving.signal,
    })
    .catch(() => 'gone')
  await waitFor('the job', async () => (await jobCount()) === 1)
  leaving.abort()
  expect(await left).toBe('gone')
  const again = await waitFor('the answer', async () => {
    const answer = await api.post<JobView>('/v1/jobs', sandbox({}, { runAt }), withKey('a'))
    return answer.status === 202 && answer
  })
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(again.json.status).toBe('queued')
  expect(await jobCount()).toBe(1)
})

test('a refusal is not kept: the same key works once the reason is gone', async () => {
  const poor = await used.newOrg({ credits: 0n })
  for (const _attempt of [1, 2]) {
    const refused = await poor.api.post('/v1/jobs', sandbox(), withKey('a'))
    expectProblem(refused, 402, 'insufficient_credits')
  }
  const grant = { amount: '1000000', kind: 'purchase', reason: 'paid' }
  expectStatus(await used.admin.post(`/v1/admin/orgs/${poor.orgId}/grants`, grant), 201)
  const first = await poor.api.post<JobView>('/v1/jobs', sandbox(), withKey('a'))
  expectStatus(first, 202)
  expectReplay(await poor.api.post('/v1/jobs', sandbox(), withKey('a')), first)

  expectProblem(await api.post('/v1/jobs', { input: {} }, withKey('b')), 400, 'invalid_request')
  const unknown = { type: 'no.such', input: {} }
  expectProblem(await api.post('/v1/jobs', unknown, withKey('b')), 422, 'invalid_input')
  expectStatus(await api.post('/v1/jobs', sandbox(), withKey('b')), 202)
})

test('a key belongs to one org, one method and one path', async () => {
  const other = await used.newOrg()
  const first = expectStatus(await api.post<JobView>('/v1/jobs', sandbox(), withKey('a')), 202)
  const second = await other.api.post<JobView>('/v1/jobs', sandbox(), withKey('a'))
  expect(expectStatus(second, 202).jobId).not.toBe(first.jobId)
  const batch = await api.post('/v1/jobs/batch', { jobs: [sandbox()] }, withKey('a'))
  expectStatus(batch, 200)
  expectStatus(await api.post('/v1/uploads', { contentType: 'a/b', bytes: 1 }, withKey('a')), 201)
  // A GET has nothing to repeat.
  expectStatus(await api.get('/v1/jobs', withKey('a')), 200)
})

test('keys that are none are refused', async () => {
  for (const key of ['', ' ', 'x'.repeat(256), 'ä', 'a\tb']) {
    const answer = await api.post('/v1/jobs', sandbox(), withKey(key))
    expectProblem(answer, 400, 'invalid_request')
  }
  for (const key of ['x'.repeat(255), '!~', "'; DROP TABLE events; --"]) {
    expectStatus(await api.post('/v1/jobs', sandbox({ steps: 1 }), withKey(key)), 202)
  }
})

test('a batch has one key for the whole', async () => {
  const jobs = [sandbox({ steps: 1 }), { type: 'no.such', input: {} }, sandbox({ steps: 2 })]
  const first = await api.post('/v1/jobs/batch', { jobs }, withKey('a'))
  expect(first.status).toBe(200)
  expectReplay(await api.post('/v1/jobs/batch', { jobs }, withKey('a')), first)
  const fewer = { jobs: jobs.slice(1) }
  const answer = await api.post('/v1/jobs/batch', fewer, withKey('a'))
  expectProblem(answer, 422, 'idempotency_mismatch')
  await api.billed(startMicro, 3)
  expect(await jobCount()).toBe(2)
})

test('a grant that is repeated is given once; so is an org, a key and an adjustment', async () => {
  const { admin } = used
  const path = `/v1/admin/orgs/${org.orgId}`
  const commands = [
    [`${path}/grants`, { amount: '500', kind: 'purchase', reason: 'order 17' }],
    [`${path}/adjustments`, { amount: '-200', reason: 'mistake' }],
    [`${path}/keys`, { name: 'second' }],
    ['/v1/admin/orgs', { name: 'twice' }],
  ] as const
  for (const [url, body] of commands) {
    const first = await admin.post(url, body, withKey(`once ${url}`.replaceAll(' ', '-')))
    expect(first.status).toBe(201)
    expectReplay(await admin.post(url, body, withKey(`once-${url}`)), first)
  }
  await waitFor('the balance', async () => {
    const { posted } = await api.balance()
    return posted === String(startMicro + 300n)
  })
  const { keys } = (await admin.get<{ keys: { name: string }[] }>(path)).json
  expect(keys.filter(({ name }) => name === 'second')).toHaveLength(1)
})

test('a cancel that is repeated answers as the first time', async () => {
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const { jobId } = await api.submit(sandbox({}, { runAt }))
  const path = `/v1/jobs/${jobId}/cancel`
  const first = await api.post(path, undefined, withKey('a'))
  expect(first.status).toBe(202)
  expectReplay(await api.post(path, undefined, withKey('a')), first)
  expectProblem(await api.post(path, undefined, withKey('b')), 409, 'conflict')
})
