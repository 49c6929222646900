import { beforeEach, expect, test } from '@jest/globals'
import { accountStream } from '../../domain/account/account.ts'
import type { JobView } from '../../domain/job/job-view.ts'
import { expectProblem, expectStatus, sandbox, type Client, type Org } from '../support/client.ts'
import { testContext, withPipelines } from '../support/direct-pipelines.ts'
import { useWeir } from '../support/use-weir.ts'

const startMicro = 10_000_000n
const stepMicro = 10_000n

const used = useWeir()
let org: Org
let api: Client

beforeEach(async () => {
  org = await used.newOrg({ credits: startMicro })
  api = org.api
})

/** A job of four steps that has failed at its third one, `times` times if it is retried. */
async function failedJob(times = 1, by: Client = api): Promise<JobView> {
  const fail = { atStep: 3, times, code: 'bad_prompt', retryable: false }
  const job = await by.run(sandbox({ steps: 4, fail }))
  expect(job).toMatchObject({ status: 'failed', attempt: 1 })
  return job
}

async function attemptsOf(jobId: string): Promise<number[]> {
  const { bytes } = await api.download(jobId)
  const { steps } = JSON.parse(bytes.toString('utf8')) as { steps: { attempt: number }[] }
  return steps.map(({ attempt }) => attempt)
}

test('a failed job goes on where it failed, with a hold for what is left', async () => {
  const failed = await failedJob()
  const retried = expectStatus(await api.retry(failed.jobId), 202)
  expect(retried).toMatchObject({
    jobId: failed.jobId,
    status: 'queued',
    attempt: 1,
    progress: 50,
    revision: failed.revision + 1,
    finishedAt: null,
    error: null,
    credits: { held: String(2n * stepMicro), charged: String(2n * stepMicro) },
  })
  const job = await api.finished(retried)
  expect(job).toMatchObject({ status: 'succeeded', attempt: 2, progress: 100 })
  expect(await attemptsOf(job.jobId)).toEqual([1, 1, 2, 2])
  const { charged } = await api.billed(startMicro, 4)
  expect(charged).toBe(4n * stepMicro)
  const events = await api.events(job.jobId)
  expect(events.map(({ revision }) => revision)).toEqual(events.map((_, index) => index))
  expect(events.map(({ type }) => type)).toEqual([
    ...['job.queued', 'job.started', 'job.step_completed', 'job.step_completed', 'job.failed'],
    ...['job.requeued', 'job.started', 'job.step_completed', 'job.step_completed'],
    'job.succeeded',
  ])
})

test('a job that was queued again twice pays each step once', async () => {
  const { jobId } = await failedJob(2)
  expectStatus(await api.retry(jobId), 202)
  expect(await api.finished({ jobId })).toMatchObject({ status: 'failed', attempt: 2 })
  expectStatus(await api.retry(jobId), 202)
  expect(await api.finished({ jobId })).toMatchObject({ status: 'succeeded', attempt: 3 })
  expect(await attemptsOf(jobId)).toEqual([1, 1, 3, 3])
  await api.billed(startMicro, 4)
  expect((await api.job(jobId)).credits).toEqual({ held: '0', charged: String(4n * stepMicro) })
})

test('a canceled job runs when it is retried', async () => {
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const { jobId } = await api.submit(sandbox({ steps: 2 }, { runAt }))
  expect(expectStatus(await api.cancel(jobId), 202).status).toBe('canceled')
  expectStatus(await api.retry(jobId), 202)
  expect(await api.finished({ jobId })).toMatchObject({ status: 'succeeded', attempt: 1 })
  await api.billed(startMicro, 2)
})

test('a job that was canceled while it ran keeps its steps when it is retried', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 3, stepMs: 300 }))
  await api.until(jobId, 'running')
  await waitForSteps(jobId, 1)
  expectStatus(await api.cancel(jobId), 202)
  const canceled = await api.finished({ jobId })
  expect(canceled.status).toBe('canceled')
  const done = (await api.events(jobId)).filter(({ type }) => type === 'job.step_completed').length
  expectStatus(await api.retry(jobId), 202)
  const job = await api.finished({ jobId })
  expect(job).toMatchObject({ status: 'succeeded', attempt: 2 })
  const again = Array.from({ length: 3 - done }, () => 2)
  expect(await attemptsOf(jobId)).toEqual([...Array.from({ length: done }, () => 1), ...again])
  await api.billed(startMicro, 3)
})

async function waitForSteps(jobId: string, count: number): Promise<void> {
  for (;;) {
    const events = await api.events(jobId)
    if (events.filter(({ type }) => type === 'job.step_completed').length >= count) return
  }
}

test('what is queued, running or has succeeded is not retried', async () => {
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const queued = await api.submit(sandbox({ steps: 1 }, { runAt }))
  expectProblem(await api.retry(queued.jobId), 409, 'conflict')
  await api.cancel(queued.jobId)
  const running = await api.submit(sandbox({ steps: 1, stepMs: 5_000 }))
  await api.until(running.jobId, 'running')
  expectProblem(await api.retry(running.jobId), 409, 'conflict')
  await api.cancel(running.jobId)
  const succeeded = await api.run(sandbox())
  expectProblem(await api.retry(succeeded.jobId), 409, 'conflict')
})

test('a retry that cannot be paid is refused, and possible once there are credits', async () => {
  const poor = await used.newOrg({ credits: 4n * stepMicro })
  const { jobId, revision } = await failedJob(1, poor.api)
  await poor.api.billed(4n * stepMicro, 2)
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const other = await poor.api.submit(sandbox({ steps: 1 }, { runAt }))
  const { required, available, held } = expectProblem(
    await poor.api.retry(jobId),
    402,
    'insufficient_credits',
  )
  expect({ required, available, held }).toEqual({
    required: String(2n * stepMicro),
    available: String(stepMicro),
    held: String(stepMicro),
  })
  expect(await poor.api.job(jobId)).toMatchObject({ status: 'failed', revision })
  await poor.api.cancel(other.jobId)
  await poor.api.billed(4n * stepMicro, 2)
  expectStatus(await poor.api.retry(jobId), 202)
  expect(await poor.api.finished({ jobId })).toMatchObject({ status: 'succeeded' })
  await poor.api.billed(4n * stepMicro, 4)
})

test('several retries at once queue the job once', async () => {
  const { jobId } = await failedJob()
  const answers = await Promise.all([1, 2, 3, 4].map(() => api.retry(jobId)))
  expect(answers.map(({ status }) => status)).toContain(202)
  for (const answer of answers) if (answer.status !== 202) expectProblem(answer, 409, 'conflict')
  await api.finished({ jobId })
  const types = (await api.events(jobId)).map(({ type }) => type)
  expect(types.filter((type) => type === 'job.requeued')).toHaveLength(1)
  await api.billed(startMicro, 4)
})

test('a retry whose process died before it was written down is made good by the next', async () => {
  const { jobId } = await failedJob()
  // What such a process leaves behind, and what the rescuer makes of it.
  await withPipelines(used.weir, async ({ accounts }) => {
    const holdId = `${jobId}/1`
    const at = new Date().toISOString()
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
    const hold = { type: 'HoldCredits' as const, holdId, jobId, amount: 2n * stepMicro }
    const stream = accountStream(org.orgId)
    await accounts.handle(stream, { ...hold, at, expiresAt }, testContext(org.orgId))
    const settle = { type: 'SettleHold' as const, holdId, jobId, outcome: 'abandoned' }
    await accounts.handle(stream, settle, testContext(org.orgId))
  })
  await api.billed(startMicro, 2)
  const retried = expectStatus(await api.retry(jobId), 202)
  expect(retried.credits).toEqual({
    held: String(2n * stepMicro),
    charged: String(2n * stepMicro),
  })
  expect(await api.finished({ jobId })).toMatchObject({ status: 'succeeded' })
  await api.billed(startMicro, 4)
})

test('support retries a job of any org', async () => {
  const { jobId } = await failedJob()
  const answer = await used.admin.post<JobView>(`/v1/admin/jobs/${jobId}/retry`)
  expect(expectStatus(answer, 202).status).toBe('queued')
  expect(await api.finished({ jobId })).toMatchObject({ status: 'succeeded' })
  await api.billed(startMicro, 4)
})

test('a retry with an Idempotency-Key happens once', async () => {
  const { jobId } = await failedJob(2)
  const key = { 'idempotency-key': 'retry-once' }
  const path = `/v1/jobs/${jobId}/retry`
  const first = await api.post(path, undefined, key)
  expect(first.status).toBe(202)
  await api.finished({ jobId })
  const again = await api.post(path, undefined, key)
  expect({ status: again.status, text: again.text }).toEqual({ status: 202, text: first.text })
  expect(await api.job(jobId)).toMatchObject({ status: 'failed', attempt: 2 })
})
