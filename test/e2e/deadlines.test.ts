import { beforeEach, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { sandbox, type Client } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const startMicro = 10_000_000n
/** The rescuer looks once a second. */
const lateMsMax = 2_500

// One job at a time, so that a running one keeps all others in the queue.
const used = useWeir({ env: { WEIR_WORKER_CONCURRENCY: '1' } })
let api: Client

beforeEach(async () => {
  api = (await used.newOrg({ credits: startMicro })).api
})

async function occupyWorker(): Promise<JobView> {
  const job = await api.submit(sandbox({ steps: 1, stepMs: 60_000 }))
  return await api.until(job.jobId, 'running')
}

function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1_000).toISOString()
}

test('a job that did not start in time expires, and is never billed', async () => {
  const blocker = await occupyWorker()
  const { jobId, createdAt } = await api.submit(sandbox({}, { deadlineSeconds: 1 }))
  const job = await api.finished({ jobId })
  expect(job).toMatchObject({ status: 'expired', attempt: 0, startedAt: null, result: null })
  const lateMs = Date.parse(job.finishedAt ?? '') - Date.parse(createdAt) - 1_000
  expect(lateMs).toBeGreaterThanOrEqual(0)
  expect(lateMs).toBeLessThan(lateMsMax)
  const types = (await api.events(jobId)).map(({ type }) => type)
  expect(types).toEqual(['job.queued', 'job.expired'])
  await api.cancel(blocker.jobId)
  await api.finished(blocker)
  await api.billed(startMicro, 0)
})

test('an expired job gets its whole time again when it is retried', async () => {
  const blocker = await occupyWorker()
  const { jobId } = await api.submit(sandbox({}, { deadlineSeconds: 1 }))
  expect(await api.finished({ jobId })).toMatchObject({ status: 'expired' })
  await api.cancel(blocker.jobId)
  await api.finished(blocker)
  expect((await api.retry(jobId)).status).toBe(202)
  expect(await api.finished({ jobId })).toMatchObject({ status: 'succeeded', attempt: 1 })
  await api.billed(startMicro, 2)
})

test('a running job fails at its deadline, and pays for the steps that were done', async () => {
  const body = sandbox({ steps: 100, stepMs: 150 }, { deadlineSeconds: 1 })
  const job = await api.run(body)
  expect(job).toMatchObject({ status: 'failed', attempt: 1 })
  expect(job.error).toMatchObject({ code: 'deadline_exceeded', retryable: false })
  const tookMs = Date.parse(job.finishedAt ?? '') - Date.parse(job.createdAt)
  expect(tookMs).toBeGreaterThanOrEqual(1_000)
  expect(tookMs).toBeLessThan(1_000 + lateMsMax)
  const types = (await api.events(job.jobId)).map(({ type }) => type)
  const done = types.filter((type) => type === 'job.step_completed').length
  expect(done).toBeGreaterThan(0)
  await api.billed(startMicro, done)
})

test('a job whose next attempt would come too late fails at once', async () => {
  const fail = { atStep: 1, times: 99 }
  const { jobId } = await api.submit(sandbox({ fail }, { deadlineSeconds: 2 }))
  const job = await api.finished({ jobId })
  expect(job).toMatchObject({ status: 'failed' })
  expect(job.error?.code).toBe('deadline_exceeded')
  await api.billed(startMicro, 0)
})

test('a deadline counts from runAt, and a job does not start before it', async () => {
  const runAt = inSeconds(2)
  const { jobId } = await api.submit(sandbox({}, { runAt, deadlineSeconds: 1 }))
  const job = await api.finished({ jobId })
  expect(job.status).toBe('succeeded')
  const lateMs = Date.parse(job.startedAt ?? '') - Date.parse(runAt)
  expect(lateMs).toBeGreaterThanOrEqual(0)
  expect(lateMs).toBeLessThan(1_000)
})

test('a runAt with another offset is the same moment, and one in the past is now', async () => {
  const moment = new Date(Date.now() + 3_600_000 + 1_500)
  const withOffset = moment.toISOString().replace('Z', '+01:00')
  const late = await api.submit(sandbox({}, { runAt: withOffset }))
  const past = await api.submit(sandbox({}, { runAt: '2020-01-31' }))
  expect(await api.finished(past)).toMatchObject({ status: 'succeeded' })
  const job = await api.finished(late)
  expect(Date.parse(job.startedAt ?? '')).toBeGreaterThanOrEqual(moment.getTime() - 3_600_000)
})

test('higher priorities run first, and the same ones in the order of submission', async () => {
  const blocker = await occupyWorker()
  const wanted = ['low', 'normal', 'high', 'low', 'normal', 'high']
  const jobs: JobView[] = []
  for (const priority of wanted) jobs.push(await api.submit(sandbox({ steps: 1 }, { priority })))
  await waitFor('the queue to know them', async () => {
    const queued = await api.all('/v1/jobs?status=queued')
    return queued.length === wanted.length
  })
  await api.cancel(blocker.jobId)
  const ended = await Promise.all(jobs.map((job) => api.finished(job)))
  const order = ended
    .map(({ startedAt }, index) => ({ startedAt: startedAt ?? '', index }))
    .sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
    .map(({ index }) => index)
  expect(order).toEqual([2, 5, 1, 4, 0, 3])
})
