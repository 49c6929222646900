import { describe, expect, test } from '@jest/globals'
import { expectProblem, expectStatus, sandbox } from '../support/client.ts'
import type { Answer, Client, Org } from '../support/client.ts'
import { connect, refusalOf } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'
import type { JobView } from '../../domain/job/job-view.ts'

const used = useWeir()
const callMicro = 10_000n
const socketLimitMs = 5_000

async function limited(...limits: readonly object[]): Promise<Org> {
  const org = await used.newOrg({ credits: 10_000_000n })
  await setLimits(org, ...limits)
  return org
}

async function setLimits({ orgId }: Org, ...limits: readonly object[]): Promise<void> {
  const path = `/v1/admin/orgs/${orgId}/limits`
  expectStatus(await used.admin.call('PUT', path, { body: { limits } }), 200)
}

async function act({ orgId }: Org, act: string, body: object): Promise<void> {
  const path = `/v1/admin/orgs/${orgId}/${act}`
  expectStatus(await used.admin.post(path, { reason: 'test', ...body }), 200)
}

const submit = async (api: Client, input: object = {}, rest: object = {}) =>
  await api.post<JobView>('/v1/jobs', sandbox({ steps: 1, ...input }, rest))

async function submitOneByOne(api: Client, count: number, rest: object = {}) {
  const answers: Answer<JobView>[] = []
  while (answers.length < count) answers.push(await submit(api, {}, rest))
  return answers
}

const statuses = (answers: readonly Answer<unknown>[]) => {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

describe('a limit on requests', () => {
  const perMinute = { scope: 'org', kind: 'requests', window: 'minute', max: 5 }

  test('accepts as many as it says, and tells what is left and when to come back', async () => {
    const { api } = await limited(perMinute)
    const answers = await submitOneByOne(api, 8)
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202, 429, 429, 429])
    expect(answers[0]?.headers.get('ratelimit-policy')).toBe('"org-requests";q=5;w=60')
    expect(answers[0]?.headers.get('ratelimit')).toMatch(/^"org-requests";r=4;t=\d+$/)
    const refused = answers[5]!
    const problem = expectProblem(refused, 429, 'rate_limited')
    expect(problem).toMatchObject({ limit: 5, scope: 'org', used: 5 })
    const wait = Number(refused.headers.get('retry-after'))
    expect(wait >= 1 && wait <= 12).toBe(true)
    expect(Date.parse(String(problem['resetAt'])) <= Date.now() + 12_000).toBe(true)
    expect(refused.headers.get('ratelimit')).toBe(`"org-requests";r=0;t=${wait}`)
  })

  test('lets a burst through exactly as often', async () => {
    const { api } = await limited({ ...perMinute, window: 'hour' })
    const answers = await Promise.all(Array.from({ length: 50 }, () => submit(api)))
    expect(statuses(answers)).toEqual({ 202: 5, 429: 45 })
  })

  test('counts each job of a batch', async () => {
    const { api } = await limited({ ...perMinute, window: 'hour' })
    const jobs = Array.from({ length: 7 }, () => sandbox({ steps: 1 }))
    type Items = { readonly items: readonly { readonly status: number }[] }
    const { json, headers } = await api.post<Items>('/v1/jobs/batch', { jobs })
    expect(json.items.filter(({ status }) => status === 202)).toHaveLength(5)
    expect(json.items.filter(({ status }) => status === 429)).toHaveLength(2)
    expect(headers.get('ratelimit-policy')).toBe('"org-requests";q=5;w=3600')
    expect(headers.get('ratelimit')).toMatch(/^"org-requests";r=0;t=\d+$/)
    expect(headers.get('retry-after')).toBeNull()
  })

  test('tells what is left of it after a batch and after a retry', async () => {
    const { api } = await limited({ ...perMinute, window: 'hour' })
    const batch = await api.post('/v1/jobs/batch', { jobs: [sandbox(), sandbox()] })
    expect(batch.headers.get('ratelimit')).toMatch(/^"org-requests";r=3;t=\d+$/)
    const { jobId } = await api.submit(sandbox({}, { runAt: '2099-01-01T00:00:00Z' }))
    expectStatus(await api.post(`/v1/jobs/${jobId}/cancel`, {}), 202)
    const retried = await api.post(`/v1/jobs/${jobId}/retry`, {})
    expectStatus(retried, 202)
    expect(retried.headers.get('ratelimit')).toMatch(/^"org-requests";r=1;t=\d+$/)
    expect(retried.headers.get('ratelimit-policy')).toBe('"org-requests";q=5;w=3600')
  })

  test('of each user counts users apart, and nothing when another limit refuses', async () => {
    const each = { scope: 'user', kind: 'requests', window: 'hour', max: 2 }
    const { api } = await limited(each, { ...perMinute, window: 'hour', max: 3 })
    expect(statuses(await submitOneByOne(api, 4, { userId: 'ada' }))).toEqual({ 202: 2, 429: 2 })
    expect(statuses(await submitOneByOne(api, 2, { userId: 'bob' }))).toEqual({ 202: 1, 429: 1 })
  })

  test('is not used up by jobs that the account cannot pay', async () => {
    const org = await used.newOrg({ credits: 3n * callMicro })
    await setLimits(org, { ...perMinute, window: 'hour' })
    const dear = await Promise.all(Array.from({ length: 9 }, () => submit(org.api, { steps: 4 })))
    expect(statuses(dear)).toEqual({ 402: 9 })
    expect(statuses(await submitOneByOne(org.api, 3))).toEqual({ 202: 3 })
  })

  test('that changes does not forget', async () => {
    const org = await limited({ ...perMinute, window: 'day' })
    await submitOneByOne(org.api, 5)
    await setLimits(org, { ...perMinute, window: 'day', max: 5 }, { ...perMinute, max: 9 })
    expect(statuses(await submitOneByOne(org.api, 1))).toEqual({ 429: 1 })
  })

  test('at a provider makes calls wait for their turn, and fails none', async () => {
    const perSecond = { scope: 'provider', key: 'sandbox', kind: 'requests', window: 'second' }
    const { api } = await limited({ ...perSecond, max: 2 })
    const startedAt = Date.now()
    const jobs = await Promise.all([1, 2, 3, 4, 5, 6].map(() => submit(api)))
    for (const { json } of jobs) await api.until(json.jobId, 'succeeded', 30_000)
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1_900)
  })
})

describe('a quota', () => {
  const daily = { scope: 'org', kind: 'spend', window: 'day' }

  test('of spend is exact, in a burst too', async () => {
    const { api } = await limited({ ...daily, max: '50000' })
    const answers = await Promise.all(Array.from({ length: 20 }, () => submit(api)))
    expect(statuses(answers)).toEqual({ 202: 5, 429: 15 })
    const refused = answers.find(({ status }) => status === 429)!
    const problem = expectProblem(refused, 429, 'quota_exceeded')
    expect(problem).toMatchObject({ limit: '50000', scope: 'org' })
    await api.billed(10_000_000n, 5)
    expectProblem(await submit(api), 429, 'quota_exceeded')
  })

  test('of a provider refuses when it is used up', async () => {
    const units = { scope: 'provider', key: 'sandbox', kind: 'units', unit: 'requests' }
    const { api } = await limited({ ...units, window: 'month', max: 3 })
    expect(statuses(await submitOneByOne(api, 5))).toEqual({ 202: 3, 429: 2 })
    const { json } = await api.get('/v1/limits')
    expect(json).toMatchObject({ status: 'active', limits: [{ used: 3, max: 3 }] })
  })

  test('of units counts what a retry has left to do', async () => {
    const org = await used.newOrg({ credits: 10_000_000n })
    const { json } = await submit(org.api, {
      steps: 3,
      fail: { atStep: 2, times: 1, retryable: false },
    })
    await org.api.until(json.jobId, 'failed')
    const units = { scope: 'org', kind: 'units', unit: 'requests', window: 'month' }
    await setLimits(org, { ...units, max: 2 })
    const problem = expectProblem(await org.api.retry(json.jobId), 429, 'quota_exceeded')
    expect(problem).toMatchObject({ used: 1 })
    await setLimits(org, { ...units, max: 3 })
    expectStatus(await org.api.retry(json.jobId), 202)
    expectProblem(await submit(org.api), 429, 'quota_exceeded')
    await org.api.until(json.jobId, 'succeeded')
  })
})

test('no more jobs run at the same time than the limit says', async () => {
  const { api } = await limited({ scope: 'org', kind: 'concurrency', max: 2 })
  const jobs = await Promise.all([1, 2, 3, 4, 5, 6].map(() => submit(api, { stepMs: 300 })))
  let most = 0
  await waitFor(
    'all jobs to end',
    async () => {
      const all = await Promise.all(jobs.map(({ json }) => api.job(json.jobId)))
      most = Math.max(most, all.filter(({ status }) => status === 'running').length)
      return all.every(({ status }) => status === 'succeeded')
    },
    30_000,
  )
  const times = await Promise.all(jobs.map(({ json }) => api.job(json.jobId)))
  for (const { startedAt } of times) {
    const at = Date.parse(startedAt ?? '')
    const others = times.filter(
      (job) => Date.parse(job.startedAt ?? '') <= at && Date.parse(job.finishedAt ?? '') > at,
    )
    expect(others.length).toBeLessThanOrEqual(2)
  }
  expect(most).toBeLessThanOrEqual(2)
})

test('a throttle refuses what is too fast, until its end', async () => {
  const org = await used.newOrg()
  await act(org, 'throttle', { requestsPerMinute: 1 })
  expect(statuses(await submitOneByOne(org.api, 2))).toEqual({ 202: 1, 429: 1 })
  expectProblem(await submit(org.api), 429, 'account_throttled')
  const until = new Date(Date.now() + 1_500).toISOString()
  await act(org, 'throttle', { requestsPerMinute: 1, until })
  await waitFor('the throttle to end', async () => (await submit(org.api)).status === 202, 5_000)
  expect(statuses(await submitOneByOne(org.api, 3))).toEqual({ 202: 3 })
})

test('a ban refuses new jobs, ends the sockets, lets running jobs end and reads be', async () => {
  const org = await used.newOrg()
  const { json: running } = await submit(org.api, { steps: 2, stepMs: 500 })
  const failed = await submit(org.api, { fail: { atStep: 1, times: 9, retryable: false } })
  await org.api.until(failed.json.jobId, 'failed')
  const socket = await connect(org.api.baseUrl, org.api.token)
  await act(org, 'ban', {})
  expectProblem(await submit(org.api), 403, 'account_banned')
  expectProblem(await org.api.retry(failed.json.jobId), 403, 'account_banned')
  const bannedAt = Date.now()
  await socket.closed
  expect(Date.now() - bannedAt).toBeLessThan(socketLimitMs)
  expect(await refusalOf(org.api.baseUrl, org.api.token)).toBe('account_banned')
  await org.api.until(running.jobId, 'succeeded')
  const { json } = await used.admin.get(`/v1/admin/orgs/${org.orgId}`)
  expect(json).toMatchObject({ status: 'banned' })
  await act(org, 'reinstate', {})
  expectStatus(await submit(org.api), 202)
})

test('of 500 submits at once exactly those are accepted that can be paid', async () => {
  const startMicro = 120n * callMicro
  const { api, orgId } = await used.newOrg({ credits: startMicro })
  // Hardly one ends before the last one is decided; and then it has used up what it held.
  const answers = await Promise.all(
    Array.from({ length: 500 }, () => submit(api, { stepMs: 3_000 })),
  )
  expect(statuses(answers)).toEqual({ 202: 120, 402: 380 })
  for (const answer of answers.filter(({ status }) => status === 402)) {
    const { required, available, held } = expectProblem(answer, 402, 'insufficient_credits')
    expect({ required, available }).toEqual({ required: String(callMicro), available: '0' })
    expect(BigInt(String(held)) % callMicro).toBe(0n)
    expect(BigInt(String(held))).toBeLessThanOrEqual(startMicro)
  }
  const accepted = answers.filter(({ status }) => status === 202)
  expect(new Set(accepted.map(({ json }) => json.jobId)).size).toBe(120)
  for (const { json } of accepted) await api.until(json.jobId, 'succeeded', 60_000)
  const { balance } = await api.billed(startMicro, 120)
  expect(balance).toMatchObject({ posted: '0', held: '0', available: '0' })
  // A hold that is used up counts for nothing; it is open until it is settled.
  await waitFor('every hold to be settled', async () => {
    return (await used.admin.all(`/v1/admin/holds?orgId=${orgId}`)).length === 0
  })
})

test('limits that contradict are refused with a pointer', async () => {
  const { orgId } = await used.newOrg()
  const path = `/v1/admin/orgs/${orgId}/limits`
  const body = { limits: [{ scope: 'org', kind: 'spend', window: 'minute', max: 1 }] }
  const problem = expectProblem(
    await used.admin.call('PUT', path, { body }),
    400,
    'invalid_request',
  )
  expect(problem.errors).toMatchObject([{ pointer: '/limits/0/window' }])
})
