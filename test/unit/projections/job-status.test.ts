import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { JobEvent } from '../../../domain/job/job-events.ts'
import { jobStatus, jobStatusTable } from '../../../projections/job-status.ts'
import { jobHistory } from '../../support/arbitrary-histories.ts'
import * as job from '../../support/job-history.ts'
import { heardAlarm, noAlarm, ProjectedRows, Recorder } from '../../support/recorded.ts'

const { at } = job

/** The row of the job after these events. */
async function rowAfter(...events: readonly JobEvent[]) {
  const recorder = new Recorder()
  const rows = new ProjectedRows(jobStatus(noAlarm))
  await rows.page(events.map((event) => recorder.job('j1', event)))
  return rows.store.all(jobStatusTable)[0]
}

describe('a row of job_status', () => {
  test('begins with what the customer asked for', async () => {
    const metadata = { order: 7 }
    expect(await rowAfter(job.submitted({ metadata, priority: 'high' }))).toEqual({
      ...{ jobId: 'j1', orgId: 'acme', userId: 'u1', jobType: 'image.upscale', metadata },
      ...{ status: 'queued', progress: 0, attempt: 0, revision: 0, priority: 'high' },
      ...{ createdAt: at(0), startedAt: null, finishedAt: null, result: null, error: null },
    })
  })

  test('ends with the result', async () => {
    expect(await rowAfter(...job.histories.succeeded)).toMatchObject({
      ...{ status: 'succeeded', progress: 100, attempt: 1, revision: 2, error: null },
      ...{ startedAt: at(1), finishedAt: at(9), result: job.result },
    })
  })

  test.each([
    ['failed', { error: job.fatal, finishedAt: at(9) }],
    ['canceled', { finishedAt: at(9) }],
    ['expired', { finishedAt: at(9), startedAt: null }],
    ['waiting', { status: 'queued', error: job.retryable, finishedAt: null }],
    ['canceling', { status: 'running', revision: 2 }],
  ] as const)('tells that the job is %s', async (status, more) => {
    expect(await rowAfter(...job.histories[status])).toMatchObject({ status, ...more })
  })

  test('keeps progress and the first start across attempts', async () => {
    const first = [job.stepCompleted('s1'), job.retryScheduled(1), job.started(2)]
    const row = await rowAfter(...job.running, ...first)
    expect(row).toMatchObject({ status: 'running', progress: 50, attempt: 2, startedAt: at(1) })
  })

  test('never goes back in progress, as the job itself', async () => {
    const early = job.stepCompleted('s2')
    const back = { ...early, data: { ...early.data, progress: 20 } } as JobEvent
    expect(await rowAfter(...job.running, job.stepCompleted('s1'), back)).toMatchObject({
      ...{ progress: 50, revision: 3 },
    })
  })

  test('of a success tells no error of an earlier attempt', async () => {
    const row = await rowAfter(...job.histories.waiting, job.started(2), job.succeeded)
    expect(row).toMatchObject({ status: 'succeeded', error: null })
  })

  test('is queued again, without its error, after a requeue', async () => {
    const row = await rowAfter(...job.histories.failed, job.requeued(1))
    expect(row).toMatchObject({ status: 'queued', error: null, finishedAt: null, revision: 3 })
  })

  test('is not made by a submission that was given up', async () => {
    expect(await rowAfter(job.abandoned)).toBeUndefined()
  })
})

test('the row says what the job itself says, after every event', async () => {
  await fc.assert(
    fc.asyncProperty(jobHistory, async (prefixes) => {
      const recorder = new Recorder()
      const rows = new ProjectedRows(jobStatus(noAlarm))
      for (const { event, state } of prefixes) {
        const recorded = recorder.job('j1', event)
        await rows.page([recorded])
        const [row] = rows.store.all(jobStatusTable)
        if (state.status === 'absent' || state.status === 'abandoned') {
          expect(row).toBeUndefined()
          continue
        }
        const { status, progress, attempt, startedAt, finishedAt, result, error } = state
        const facts = { status, progress, attempt, startedAt, finishedAt, result, error }
        expect(row).toMatchObject({ ...facts, revision: recorded.revision })
      }
    }),
    { numRuns: 100 },
  )
})

test('an event that is seen twice changes nothing the second time', async () => {
  await fc.assert(
    fc.asyncProperty(jobHistory, async (prefixes) => {
      const recorder = new Recorder()
      const events = prefixes.map(({ event }) => recorder.job('j1', event))
      const once = await new ProjectedRows(jobStatus(noAlarm)).pages(events)
      const twice = await new ProjectedRows(jobStatus(noAlarm)).pages(
        events.flatMap((event) => [event, event]),
        // Alone, and before anything that would put it right.
        events.slice(1, 2),
      )
      expect(twice.everything()).toEqual(once.everything())
    }),
    { numRuns: 50 },
  )
})

describe('a hole', () => {
  test('is told, and what came after it is taken', async () => {
    const recorder = new Recorder()
    const [submitted, , succeeded] = [job.submitted(), job.started(1), job.succeeded].map((event) =>
      recorder.job('j1', event),
    )
    const { alarm, holes } = heardAlarm()
    const rows = await new ProjectedRows(jobStatus(alarm)).pages([submitted!, succeeded!])
    expect(holes).toEqual([{ projection: 'job_status', stream: 'job-j1', seen: 0, got: 2 }])
    expect(rows.store.all(jobStatusTable)[0]).toMatchObject({ status: 'succeeded', revision: 2 })
  })

  test('at the beginning is told too', async () => {
    const recorder = new Recorder()
    recorder.job('j1', job.submitted())
    const started = recorder.job('j1', job.started(1))
    const { alarm, holes } = heardAlarm()
    const rows = await new ProjectedRows(jobStatus(alarm)).pages([started])
    expect(holes).toEqual([{ projection: 'job_status', stream: 'job-j1', seen: -1, got: 1 }])
    expect(rows.store.all(jobStatusTable)).toEqual([])
  })
})
