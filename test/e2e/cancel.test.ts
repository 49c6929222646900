import { beforeEach, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { expectProblem, expectStatus, sandbox, type Client } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const startMicro = 10_000_000n
const canceledWithinMs = 2_000

const used = useWeir()
let api: Client

beforeEach(async () => {
  api = (await used.newOrg({ credits: startMicro })).api
})

async function typesOf(jobId: string): Promise<string[]> {
  return (await api.events(jobId)).map(({ type }) => type)
}

test('a queued job is canceled in the answer, and never billed', async () => {
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const { jobId } = await api.submit(sandbox({ steps: 5 }, { runAt }))
  const job = expectStatus(await api.cancel(jobId), 202)
  expect(job).toMatchObject({ status: 'canceled', revision: 1, attempt: 0, startedAt: null })
  expect(job.finishedAt).not.toBeNull()
  expect(await typesOf(jobId)).toEqual(['job.queued', 'job.canceled'])
  await api.billed(startMicro, 0)
})

test('a running job stops within two seconds, and pays for the steps that were done', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 20, stepMs: 200 }))
  await waitFor('two steps', async () => (await typesOf(jobId)).length >= 4)
  const asked = performance.now()
  expect(expectStatus(await api.cancel(jobId), 202).status).toBe('running')
  const job = await api.finished({ jobId }, canceledWithinMs)
  expect(performance.now() - asked).toBeLessThan(canceledWithinMs)
  expect(job).toMatchObject({ status: 'canceled', result: null })
  const types = await typesOf(jobId)
  expect(types.at(-1)).toBe('job.canceled')
  const { usage } = await api.billed(startMicro, doneSteps(types))
  expect(usage.length).toBeGreaterThanOrEqual(2)
  expectProblem(await api.get(`/v1/jobs/${jobId}/result`), 404, 'not_found')
})

function doneSteps(types: readonly string[]): number {
  return types.filter((type) => type === 'job.step_completed').length
}

test('asking again while it still runs is accepted and adds no event', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 1, stepMs: 10_000 }))
  await api.until(jobId, 'running')
  const answers = await Promise.all([1, 2, 3, 4, 5].map(() => api.cancel(jobId)))
  for (const answer of answers) {
    if (answer.status !== 409) expect(answer.status).toBe(202)
    else expectProblem(answer, 409, 'conflict')
  }
  await api.finished({ jobId })
  expect(await typesOf(jobId)).toEqual([
    'job.queued',
    'job.started',
    'job.cancel_requested',
    'job.canceled',
  ])
})

test('a job that has ended cannot be canceled', async () => {
  const fail = { atStep: 1, times: 1, retryable: false }
  const ended = [await api.run(sandbox()), await api.run(sandbox({ fail }))]
  for (const { jobId, status, revision } of ended) {
    expectProblem(await api.cancel(jobId), 409, 'conflict')
    expect(await api.job(jobId)).toMatchObject({ status, revision })
  }
})

test('a cancel that meets the end leaves one end, and a bill that fits it', async () => {
  const jobs = await Promise.all(
    Array.from({ length: 12 }, () => api.submit(sandbox({ steps: 2, stepMs: 30 }))),
  )
  await Promise.all(
    jobs.map(async ({ jobId }, index) => {
      await waitFor('its first step', async () => (await typesOf(jobId)).length >= 3 + (index % 2))
      const answer = await api.cancel(jobId)
      if (answer.status !== 202) expectProblem(answer, 409, 'conflict')
    }),
  )
  let steps = 0
  for (const { jobId } of jobs) {
    const { status } = await api.finished({ jobId })
    const types = await typesOf(jobId)
    const ends = types.filter((type) => /job\.(succeeded|canceled|failed|expired)/.test(type))
    expect(ends).toEqual([`job.${status}`])
    expect(types.at(-1)).toBe(ends[0])
    steps += doneSteps(types)
  }
  await api.billed(startMicro, steps)
})

test('a job that waits for its next attempt is canceled at once', async () => {
  const fail = { atStep: 2, times: 9 }
  const { jobId } = await api.submit(sandbox({ steps: 2, fail }))
  await waitFor('its retry', async () => (await typesOf(jobId)).includes('job.retry_scheduled'))
  const job: JobView = expectStatus(await api.cancel(jobId), 202)
  expect(job.status).toBe('canceled')
  await api.billed(startMicro, 1)
})
