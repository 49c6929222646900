import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DomainError } from '../../domain/errors.ts'
import { holdIdOf, isFinished, jobDecider } from '../../domain/job/job.ts'
import type { JobState } from '../../domain/job/job.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import { jobCommand } from '../support/arbitrary-commands.ts'
import { refusalOf } from '../support/given.ts'

// What must hold of every job, whatever its customers, workers, rescuers and operators asked for
// and in whatever order.

type Entry = { readonly event: JobEvent; readonly before: JobState; readonly after: JobState }

const histories = fc.array(jobCommand, { maxLength: 80, size: 'max' }).map((commands) => {
  const entries: Entry[] = []
  let state = jobDecider.initial
  for (const command of commands) {
    const answer = refusalOf(jobDecider, state, command)
    if (answer instanceof DomainError) continue
    for (const event of answer) {
      const before = state
      state = jobDecider.evolve(before, event)
      entries.push({ event, before, after: state })
    }
  }
  return entries
})

function always(name: string, check: (entries: readonly Entry[]) => void): void {
  test(name, () => {
    fc.assert(fc.property(histories, check), { numRuns: 200 })
  })
}

const ends = ['JobSucceeded', 'JobFailed', 'JobCanceled', 'JobExpired']

// I1, I5: the hold named by an end is settled by it.
always(
  'a job ends once per time it was queued, and each end names a hold of its own',
  (entries) => {
    let requeues = 0
    let isOver = false
    for (const { event } of entries) {
      if (event.type === 'JobRequeued') {
        expect(isOver).toBe(true)
        expect(event.data.requeue).toBeGreaterThan(requeues)
        requeues = event.data.requeue
        isOver = false
      } else {
        expect(isOver).toBe(false)
      }
      if (!ends.includes(event.type)) continue
      expect(event.data).toMatchObject({ holdId: holdIdOf('j1', requeues) })
      isOver = true
    }
  },
)

always('a job that succeeded or was abandoned is never touched again', (entries) => {
  const last = ['JobSucceeded', 'SubmissionAbandoned']
  const index = entries.findIndex(({ event }) => last.includes(event.type))
  expect([-1, entries.length - 1]).toContain(index)
})

always('attempts are numbered without holes, and every lease is newer than the last', (entries) => {
  const starts = entries.flatMap(({ event }) => (event.type === 'JobStarted' ? [event.data] : []))
  expect(starts.map(({ attempt }) => attempt)).toEqual(starts.map((_, index) => index + 1))
  const epochs = starts.map(({ epoch }) => epoch)
  expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b))
})

// I11
always(
  'only the running attempt writes, and each attempt ends before the next one starts',
  (entries) => {
    for (const { event, before } of entries) {
      const status = before.status
      if (event.type === 'JobStarted') expect(status).toBe('queued')
      if (event.type === 'JobStepCompleted' || event.type === 'JobSucceeded') {
        const { attempt, epoch } = event.data
        expect(before).toMatchObject({ status: 'running', attempt, epoch })
      }
    }
  },
)

always('a step is completed once', (entries) => {
  const steps = entries.flatMap(({ event }) =>
    event.type === 'JobStepCompleted' ? [event.data.step] : [],
  )
  expect(new Set(steps).size).toBe(steps.length)
})

always('failures never exceed the attempts that the job may have', (entries) => {
  for (const { after } of entries) {
    if (after.status === 'absent' || after.status === 'abandoned') continue
    expect(after.failures).toBeLessThan(after.spec.attemptsMax)
  }
})

always(
  'a job is finished exactly when it has a time of its end, and a result only by success',
  (all) => {
    for (const { after } of all) {
      if (after.status === 'absent' || after.status === 'abandoned') continue
      expect(after.finishedAt !== null).toBe(isFinished(after.status))
      expect(after.result !== null).toBe(after.status === 'succeeded')
      if (after.status === 'failed') expect(after.error).not.toBeNull()
    }
  },
)

test('folding never throws, whatever the order of the events', () => {
  const shuffled = histories.chain((entries) =>
    fc.shuffledSubarray(entries.map(({ event }) => event)),
  )
  fc.assert(
    fc.property(shuffled, (events) => {
      events.reduce(jobDecider.evolve, jobDecider.initial)
    }),
  )
})
