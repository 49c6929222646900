import { expect, test } from '@jest/globals'
import type { Recorded } from '../../../domain/catalog.ts'
import type { JobEvent } from '../../../domain/job/job-events.ts'
import { LogCounters } from '../../../src/metrics/log-counters.ts'
import type { JobFacts } from '../../../src/metrics/log-counters.ts'
import { Series } from '../../../src/metrics/registry.ts'
import { Recorder } from '../../support/recorded.ts'

const submittedAt = '2026-11-23T12:00:00.000Z'
const startedAt = '2026-11-23T12:00:02.000Z'
const finishedAt = '2026-11-23T12:00:05.000Z'

type Older = Readonly<Record<string, JobFacts>>

/** @param asked before jobs are looked up */
function countersFrom(from = '0', older: Older = {}, asked = async () => {}) {
  const series = new Series()
  const counters = new LogCounters(series, {
    jobTypes: ['sandbox.run'],
    compare: (a, b) => Number(a) - Number(b),
    findJobs: async (ids) => {
      await asked()
      return new Map(Object.entries(older).filter(([id]) => ids.includes(id)))
    },
  })
  counters.begin('all', from)
  const value = async (line: string): Promise<string | undefined> =>
    (await series.text())
      .split('\n')
      .find((each) => each.startsWith(`${line} `))
      ?.slice(line.length + 1)
  return { counters, value }
}

const submitted = (jobId: string): JobEvent => ({
  type: 'JobSubmitted',
  data: {
    ...{ jobId, orgId: 'acme', userId: null, jobType: 'sandbox.run', input: {}, inputKey: null },
    ...{ priority: 'normal', webhook: null, metadata: {}, runAt: null, deadlineSeconds: null },
    ...{ deadlineAt: null, attemptsMax: 5, estimateMicro: '100', priceVersion: 1 },
    ...{ traceparent: null, submittedAt },
  },
})
const started: JobEvent = {
  type: 'JobStarted',
  data: { attempt: 1, epoch: 1, workerId: 'w', startedAt },
}
const failed = (code: string): JobEvent => ({
  type: 'JobFailed',
  data: {
    ...{ attempt: 1, holdId: 'h', finishedAt },
    error: { code, message: 'No.', retryable: false },
  },
})

function story(recorder: Recorder, jobId: string, code: string): readonly Recorded[] {
  return [submitted(jobId), started, failed(code)].map((event) => recorder.job(jobId, event))
}

const failures = (code: string): string =>
  `weir_jobs_total{job_type="sandbox.run",outcome="failed",error_code="${code}"}`

test('counts an end once, with what it took', async () => {
  const { counters, value } = countersFrom()
  const page = story(new Recorder(), 'j1', 'deadline_exceeded')
  await counters.count('all', page)
  await counters.count('all', page)
  expect(await value(failures('deadline_exceeded'))).toBe('1')
  expect(await value('weir_job_e2e_seconds_sum{job_type="sandbox.run"}')).toBe('5')
  expect(await value('weir_job_wait_seconds_sum{job_type="sandbox.run"}')).toBe('2')
  expect(await value('weir_job_attempts_total{job_type="sandbox.run",reason="failed"}')).toBe('1')
})

test('a code of a customer is no label', async () => {
  const { counters, value } = countersFrom()
  await counters.count('all', story(new Recorder(), 'j1', 'whatever_a_customer_says'))
  expect(await value(failures('other'))).toBe('1')
  expect(await value(failures('whatever_a_customer_says'))).toBeUndefined()
})

test('what an earlier process counted is not counted again', async () => {
  const page = story(new Recorder(), 'j1', 'internal')
  const { counters, value } = countersFrom(page.at(-1)?.position)
  await counters.count('all', page)
  expect(await value(failures('internal'))).toBe('0')
})

test('looks up a job that began before this process', async () => {
  const facts = { jobType: 'sandbox.run', queuedAt: submittedAt, readyAt: null }
  const { counters, value } = countersFrom('0', { j1: facts })
  await counters.count('all', story(new Recorder(), 'j1', 'internal').slice(2))
  expect(await value(failures('internal'))).toBe('1')
  expect(await value('weir_job_e2e_seconds_sum{job_type="sandbox.run"}')).toBe('5')
})

const older = { j0: { jobType: 'sandbox.run', queuedAt: submittedAt, readyAt: null } }

test('what could not be looked up is counted with the next page', async () => {
  let isAway = true
  const { counters, value } = countersFrom('0', older, async () => {
    if (isAway) throw new Error('the database is away')
  })
  const recorder = new Recorder()
  const first = [recorder.job('j0', failed('internal')), ...story(recorder, 'j1', 'internal')]
  await expect(counters.count('all', first)).rejects.toThrow('away')
  expect(await value(failures('internal'))).toBe('0')
  isAway = false
  await counters.count('all', story(recorder, 'j2', 'internal'))
  expect(await value(failures('internal'))).toBe('3')
  expect(await value('weir_events_counted_total')).toBe('7')
})

test('a page waits for the one before it', async () => {
  let answer = (): void => undefined
  const { counters, value } = countersFrom('0', older, () => {
    return new Promise((resolve) => (answer = resolve))
  })
  const recorder = new Recorder()
  const [begin, ...rest] = story(recorder, 'j1', 'internal')
  const first = counters.count('all', [recorder.job('j0', failed('internal')), begin!])
  const second = counters.count('all', rest)
  await Promise.resolve()
  answer()
  await Promise.all([first, second])
  expect(await value('weir_job_wait_seconds_sum{job_type="sandbox.run"}')).toBe('2')
})
