import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import type { HoldView } from '../../src/queries/admin-lists.ts'
import type { UsageSummary, UsageView } from '../../src/queries/list-usage.ts'
import { expectProblem, expectStatus, newOrg, sandbox } from '../support/client.ts'
import type { Client, Org } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const startMicro = 10_000_000n
const stepMicro = 10_000n
const attemptsMax = 5
const backOffLimitMs = 25_000

interface SandboxResult {
  readonly steps: readonly { readonly step: number; readonly attempt: number }[]
  readonly outputBytes: number
}

const used = useWeir()
let org: Org
let api: Client
/** Fails in every attempt; its back-off takes a while, so it is looked at last. */
let hopeless: { readonly org: Org; readonly job: JobView }

beforeAll(async () => {
  const other = await used.newOrg({ credits: startMicro })
  const fail = { atStep: 2, times: 99, code: 'provider_unavailable' }
  hopeless = { org: other, job: await other.api.submit(sandbox({ steps: 3, fail })) }
})

beforeEach(async () => {
  org = await used.newOrg({ credits: startMicro })
  api = org.api
})

async function attemptsOf(jobId: string): Promise<number[]> {
  const { bytes } = await api.download(jobId)
  const { steps } = JSON.parse(bytes.toString('utf8')) as SandboxResult
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1))
  return steps.map(({ attempt }) => attempt)
}

async function holds(orgId: string): Promise<readonly HoldView[]> {
  return await used.admin.all<HoldView>(`/v1/admin/holds?orgId=${orgId}`)
}

test('each step is one event and one usage row, and the bill is exact', async () => {
  const submitted = await api.submit(sandbox({ steps: 7, stepMs: 5 }, { userId: 'u1' }))
  expect(submitted.credits).toEqual({ held: String(7n * stepMicro), charged: '0' })
  const job = await api.finished(submitted)

  expect(job).toMatchObject({ status: 'succeeded', progress: 100, attempt: 1, revision: 9 })
  expect(await attemptsOf(job.jobId)).toEqual([1, 1, 1, 1, 1, 1, 1])
  const events = await api.events(job.jobId)
  expect(events.map(({ revision, type }) => [revision, type])).toEqual([
    [0, 'job.queued'],
    [1, 'job.started'],
    ...[2, 3, 4, 5, 6, 7, 8].map((revision) => [revision, 'job.step_completed']),
    [9, 'job.succeeded'],
  ])
  expect(events.map(({ job: { progress } }) => progress)).toEqual([
    ...[0, 0],
    ...[14, 28, 42, 57, 71, 85, 99],
    100,
  ])
  const { usage, charged } = await api.billed(startMicro, 7)
  expect(charged).toBe(7n * stepMicro)
  expect(new Set(usage.map(({ usageId }) => usageId)).size).toBe(7)
  for (const row of usage) {
    expect(row).toMatchObject({
      jobId: job.jobId,
      userId: 'u1',
      provider: 'sandbox',
      units: { requests: '1' },
      costNanoUsd: '0',
      chargedMicro: String(stepMicro),
      priceVersion: 1,
    })
    expect(row.ms).toBeGreaterThanOrEqual(4)
  }
  expect((await api.job(job.jobId)).credits).toEqual({ held: '0', charged: String(charged) })
})

test('while a job runs its hold is listed with what remains of it', async () => {
  const job = await api.submit(sandbox({ steps: 3, stepMs: 400 }))
  const [hold] = await waitFor('the hold', async () => {
    const listed = await holds(org.orgId)
    return listed.length > 0 ? listed : undefined
  })
  expect(hold).toMatchObject({ orgId: org.orgId, jobId: job.jobId, amount: String(3n * stepMicro) })
  expect(Date.parse(hold!.expiresAt)).toBeGreaterThan(Date.parse(hold!.heldAt))
  await waitFor('less to be held', async () => {
    const [shrunk] = await holds(org.orgId)
    return shrunk && BigInt(shrunk.amount) < 3n * stepMicro
  })
  const { held, posted, available } = await api.balance()
  expect(BigInt(available)).toBe(BigInt(posted) - BigInt(held))
  await api.finished(job)
  await api.billed(startMicro, 3)
  await waitFor('it to be settled', async () => (await holds(org.orgId)).length === 0)
})

test('a result is padded to the size that was asked for', async () => {
  for (const outputBytes of [1_000, 300_000]) {
    const job = await api.run(sandbox({ steps: 1, outputBytes }))
    const { bytes, sha256, contentType } = await api.download(job.jobId)
    expect({ bytes: bytes.length, sha256 }).toEqual({
      bytes: outputBytes,
      sha256: job.result?.sha256,
    })
    expect(contentType).toBe('application/json')
    expect(JSON.parse(bytes.toString('utf8'))).toMatchObject({ outputBytes })
  }
})

test('a step that fails once is tried again; steps before it are not run again', async () => {
  const fail = { atStep: 3, times: 1, code: 'provider_unavailable' }
  const job = await api.run(sandbox({ steps: 4, fail }))
  expect(job).toMatchObject({ status: 'succeeded', attempt: 2, error: null })
  expect(await attemptsOf(job.jobId)).toEqual([1, 1, 2, 2])
  const events = await api.events(job.jobId)
  expect(events.map(({ type }) => type)).toEqual([
    ...['job.queued', 'job.started', 'job.step_completed', 'job.step_completed'],
    ...['job.retry_scheduled', 'job.started', 'job.step_completed', 'job.step_completed'],
    'job.succeeded',
  ])
  const between = events[4]?.job
  expect(between).toMatchObject({ status: 'queued', attempt: 1, progress: 50 })
  expect(between?.error).toMatchObject({ code: 'provider_unavailable', retryable: true })
  const waitedMs = Date.parse(events[5]!.at) - Date.parse(events[4]!.at)
  expect(waitedMs).toBeGreaterThanOrEqual(450)
  await api.billed(startMicro, 4)
})

test('a job that fails for good keeps its error, and pays only for what was used', async () => {
  const fail = { atStep: 2, times: 99, code: 'bad_prompt', retryable: false }
  const job = await api.run(sandbox({ steps: 4, fail }))
  expect(job).toMatchObject({ status: 'failed', attempt: 1, progress: 25, result: null })
  expect(job.error).toMatchObject({ code: 'bad_prompt', retryable: false })
  const { charged } = await api.billed(startMicro, 1)
  expect(charged).toBe(stepMicro)
  expect((await api.job(job.jobId)).credits).toEqual({ held: '0', charged: String(stepMicro) })
})

test('a job that cannot be paid is refused with the arithmetic, and not queued', async () => {
  const poor = await used.newOrg({ credits: stepMicro })
  const { required, available, held } = expectProblem(
    await poor.api.post('/v1/jobs', sandbox({ steps: 100 })),
    402,
    'insufficient_credits',
  )
  expect({ required, available, held }).toEqual({
    required: String(100n * stepMicro),
    available: String(stepMicro),
    held: '0',
  })
  const affordable = await poor.api.run(sandbox({ steps: 1 }))
  await poor.api.billed(stepMicro, 1)
  expectProblem(await poor.api.post('/v1/jobs', sandbox()), 402, 'insufficient_credits')
  const listed = await poor.api.all<JobView>('/v1/jobs')
  expect(listed.map(({ jobId }) => jobId)).toEqual([affordable.jobId])
})

test('jobs that are submitted at once never spend more than there is', async () => {
  const poor = await used.newOrg({ credits: 7n * stepMicro, overdraft: stepMicro })
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => poor.api.post<JobView>('/v1/jobs', sandbox({ steps: 1 }))),
  )
  const accepted = answers.filter(({ status }) => status === 202)
  expect(accepted).toHaveLength(8)
  for (const answer of answers.filter(({ status }) => status !== 202)) {
    expectProblem(answer, 402, 'insufficient_credits')
  }
  await Promise.all(accepted.map(({ json }) => poor.api.finished(json)))
  const { balance } = await poor.api.billed(7n * stepMicro, 8)
  expect(balance).toMatchObject({ posted: String(-stepMicro), available: '0' })
})

test('usage is filtered by job, user, provider and time, and its sums agree', async () => {
  const first = await api.run(sandbox({ steps: 2 }, { userId: 'u1' }))
  const second = await api.run(sandbox({ steps: 3 }, { userId: 'u2' }))
  const { usage } = await api.billed(startMicro, 5)
  const listed = async (query: string) => await api.all<UsageView>(`/v1/usage?${query}`, 2)
  expect(await listed(`jobId=${first.jobId}`)).toHaveLength(2)
  expect(await listed('userId=u2')).toEqual(usage.filter(({ jobId }) => jobId === second.jobId))
  expect(await listed('provider=sandbox')).toEqual(usage)
  expect(await listed('provider=nobody')).toEqual([])
  const oldest = usage.at(-1)!.at
  expect(await listed(`from=${oldest}`)).toEqual(usage)
  expect(await listed(`to=${oldest}`)).toEqual([])

  const groups = { userId: ['u2', 'u1'], provider: ['sandbox'], jobType: ['sandbox.run'] }
  for (const [groupBy, keys] of Object.entries(groups)) {
    const path = `/v1/usage/summary?groupBy=${groupBy}`
    const { items } = expectStatus(await api.get<{ items: UsageSummary[] }>(path), 200)
    expect(items.map(({ key }) => key)).toEqual(keys)
    expect(items.reduce((sum, { calls }) => sum + calls, 0)).toBe(5)
    expect(items.reduce((sum, { chargedMicro }) => sum + BigInt(chargedMicro), 0n)).toBe(
      5n * stepMicro,
    )
  }
  const day = await api.get<{ items: UsageSummary[] }>('/v1/usage/summary?groupBy=day')
  expect(day.json.items.map(({ key }) => key)).toEqual([oldest.slice(0, 10)])
})

test('a job that fails in every attempt ends when its attempts are used up', async () => {
  const { api: itsApi } = hopeless.org
  const job = await itsApi.finished(hopeless.job, backOffLimitMs)
  expect(job).toMatchObject({ status: 'failed', attempt: attemptsMax })
  expect(job.error).toMatchObject({ code: 'provider_unavailable', retryable: true })
  const started = (await itsApi.events(job.jobId)).filter(({ type }) => type === 'job.started')
  expect(started.map(({ job: { attempt } }) => attempt)).toEqual([1, 2, 3, 4, 5])
  const pauses = started
    .slice(1)
    .map(({ at }, index) => Date.parse(at) - Date.parse(started[index]!.at))
  for (const [index, pauseMs] of pauses.entries()) {
    // 1 s × 2ⁿ, of which jitter takes up to half.
    expect(pauseMs).toBeGreaterThanOrEqual(450 * 2 ** index)
  }
  await itsApi.billed(startMicro, 1)
}, 40_000)

test('a new org pays nothing and holds nothing', async () => {
  const fresh = await newOrg(used.admin, { credits: 0n })
  expect(await fresh.api.balance()).toEqual({
    orgId: fresh.orgId,
    available: '0',
    held: '0',
    posted: '0',
    overdraft: '0',
    currency: 'credits',
  })
})
