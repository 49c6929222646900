import { describe, expect, test } from '@jest/globals'
import { holdIdOf, holdIdsUpTo, isFinished, jobDecider } from '../../domain/job/job.ts'
import type { Job, JobCommand, JobState } from '../../domain/job/job.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import { given as givenEvents } from '../support/given.ts'
import * as a from '../support/job-history.ts'

const { at, histories } = a
const { queued, running } = histories
const given = (events: readonly JobEvent[]) => givenEvents(jobDecider, events)
const submit: JobCommand = { type: 'SubmitJob', spec: a.jobSpec }

type Accepted = readonly [string, readonly JobEvent[], JobCommand, readonly JobEvent[]]

const requeuedAfter = (previousStatus: string) => a.requeued(1, { previousStatus })
const withDeadline = [a.submitted({ deadlineSeconds: 60, deadlineAt: at(60) })]
const lastAttempt = [
  ...running,
  a.retryScheduled(1),
  a.started(2),
  a.retryScheduled(2),
  a.started(3),
]

describe('a job accepts', () => {
  const cases: readonly Accepted[] = [
    ['its submission', [], submit, queued],
    ['the first attempt', queued, a.start(1), [a.started(1)]],
    ['a further attempt', histories.waiting, a.start(2), [a.started(2)]],
    ['a step of the running attempt', running, a.completeStep('s1'), [a.stepCompleted('s1')]],
    ['its success', running, a.succeed(1), [a.succeeded]],
    ['its success although cancel was requested', histories.canceling, a.succeed(1), [a.succeeded]],
    ['a retry after an error', running, a.endAttempt(1), [a.retryScheduled(1)]],
    ['cancel while queued, at once', queued, a.requestCancel, [a.canceled(0)]],
    ['cancel while it waits for a retry', histories.waiting, a.requestCancel, [a.canceled(1)]],
    [
      'cancel while running, as a request',
      running,
      a.requestCancel,
      [{ type: 'JobCancelRequested', data: { requestedAt: at(9) } }],
    ],
    ['the end of a canceled attempt', histories.canceling, a.confirmCancel(1), [a.canceled(1)]],
    [
      'cancel after a requeue, naming the hold that pays it now',
      [...histories.failed, a.requeued(1)],
      a.requestCancel,
      [a.canceled(1, at(9), 'j1/1')],
    ],
    ['a requeue after failure', histories.failed, a.requeue(1), [a.requeued(1)]],
    ['a requeue after cancel', histories.canceled, a.requeue(1), [requeuedAfter('canceled')]],
    ['a requeue after expiry', histories.expired, a.requeue(1), [requeuedAfter('expired')]],
    ['that its submission was abandoned', [], a.abandon, [a.abandoned]],
  ]
  test.each(cases)('%s', (_, history, command, events) => {
    given(history).when(command).then(events)
  })
})

describe('an attempt that ends', () => {
  const reason = 'lease_expired'
  const lost = { reason, error: a.leaseExpired } as const
  const shutdown = { reason: 'shutdown', error: null } as const
  const postponed = { reason: 'postponed', error: null } as const
  const postponements = [
    a.retryScheduled(1, postponed),
    ...[a.started(2), a.retryScheduled(2, postponed)],
    ...[a.started(3), a.retryScheduled(3, postponed)],
  ]
  const cases: readonly Accepted[] = [
    [
      'with a fatal error fails the job',
      running,
      a.endAttempt(1, { error: a.fatal }),
      [a.failed(1)],
    ],
    [
      'in an error the last time fails it',
      lastAttempt,
      a.endAttempt(3),
      [a.failed(3, a.retryable)],
    ],
    ['by a lost lease is retried', running, a.endAttempt(1, lost), [a.retryScheduled(1, lost)]],
    [
      'by a lost lease the last time fails the job',
      lastAttempt,
      a.endAttempt(3, lost),
      [a.failed(3, a.leaseExpired)],
    ],
    [
      'by a lost lease the last time fails the job even when nobody names an error',
      lastAttempt,
      a.endAttempt(3, { reason, error: null }),
      [a.failed(3, a.leaseExpired)],
    ],
    [
      'in an error that nobody names, the last time, fails the job too',
      lastAttempt,
      a.endAttempt(3, { error: null }),
      [
        a.failed(3, {
          code: 'internal',
          message: 'The attempt ended in an error.',
          retryable: true,
        }),
      ],
    ],
    [
      'by shutdown is not counted against the job',
      lastAttempt,
      a.endAttempt(3, shutdown),
      [a.retryScheduled(3, shutdown)],
    ],
    [
      'for want of a turn is not counted against the job, nor is one before it',
      [...running, ...postponements, a.started(4)],
      a.endAttempt(4),
      [a.retryScheduled(4)],
    ],
    [
      'after a cancel request cancels the job',
      histories.canceling,
      a.endAttempt(1),
      [a.canceled(1)],
    ],
    [
      'with no time for another one before the deadline fails the job',
      [...withDeadline, a.started(1)],
      a.endAttempt(1, { runAt: at(60) }),
      [a.failed(1, a.deadlineExceeded)],
    ],
    [
      'with time for another one is retried',
      [...withDeadline, a.started(1)],
      a.endAttempt(1, { runAt: at(59) }),
      [a.retryScheduled(1, { runAt: at(59) })],
    ],
  ]
  test.each(cases)('%s', (_, history, command, events) => {
    given(history).when(command).then(events)
  })
})

describe('a deadline', () => {
  const late = a.enforceDeadline(at(60))
  const finishedAt = at(60)
  const expired: JobEvent = { type: 'JobExpired', data: { holdId: 'j1', finishedAt } }
  const tooLate = (attempt: number) => a.failed(attempt, a.deadlineExceeded, finishedAt)
  const cases: readonly Accepted[] = [
    ['expires a job that never started', withDeadline, late, [expired]],
    ['fails a running job', [...withDeadline, a.started(1)], late, [tooLate(1)]],
    [
      'fails a job that waits for a retry',
      [...withDeadline, a.started(1), a.retryScheduled(1)],
      late,
      [tooLate(1)],
    ],
    ['expires a job that is about to start', withDeadline, a.start(1, at(60)), [expired]],
    ['is nothing before it comes', withDeadline, a.enforceDeadline(at(59)), []],
    ['is nothing to a job without one', queued, a.enforceDeadline(at(9e6)), []],
    ['is nothing to a finished job', [...withDeadline, a.canceled(0)], late, []],
    [
      'starts anew when the job is requeued',
      [...withDeadline, a.canceled(0)],
      a.requeue(1),
      [a.requeued(1, { deadlineAt: at(80), previousStatus: 'canceled' })],
    ],
  ]
  test.each(cases)('%s', (_, history, command, events) => {
    given(history).when(command).then(events)
  })
})

describe('a newer lease that meets a running attempt', () => {
  const retry = { reason: 'lease_expired', error: a.leaseExpired, runAt: at(2) } as const
  test('ends that attempt, so that the queue offers the job again', () => {
    given(running)
      .when(a.start(2))
      .then([a.retryScheduled(1, retry)])
  })
  test('starts the job when it comes again', () => {
    given([...running, a.retryScheduled(1, retry)])
      .when(a.start(2))
      .then([a.started(2)])
  })
  test('fails the job that lost its last attempt', () => {
    given(lastAttempt)
      .when(a.start(4))
      .then([a.failed(3, a.leaseExpired, at(4))])
  })
  test('cancels the job that was to be canceled', () => {
    given(histories.canceling)
      .when(a.start(2))
      .then([a.canceled(1, at(2))])
  })
})

describe('a job does nothing the second time', () => {
  const cases: readonly (readonly [string, readonly JobEvent[], JobCommand])[] = [
    ['submitted', queued, submit],
    ['submitted while it runs', running, submit],
    ['started', running, a.start(1)],
    ['completing a step', [...running, a.stepCompleted('s1')], a.completeStep('s1')],
    [
      'completing a step that an earlier attempt completed',
      [...running, a.stepCompleted('s1'), a.retryScheduled(1), a.started(2)],
      a.completeStep('s1', 2),
    ],
    ['succeeding', histories.succeeded, a.succeed(1)],
    ['ending an attempt', histories.waiting, a.endAttempt(1)],
    ['ending the attempt that failed it', histories.failed, a.endAttempt(1)],
    ['asked to cancel', histories.canceling, a.requestCancel],
    ['confirming a cancel', [...histories.canceling, a.canceled(1)], a.confirmCancel(1)],
    ['requeued', [...histories.failed, a.requeued(1)], a.requeue(1)],
    ['requeued, started again', [...histories.failed, a.requeued(1), a.started(2)], a.requeue(1)],
    ['abandoned', histories.abandoned, a.abandon],
    ['abandoned after it came', queued, a.abandon],
  ]
  test.each(cases)('%s', (_, history, command) => {
    given(history).when(command).doesNothing()
  })
})

describe('a job refuses', () => {
  const finished = ['succeeded', 'failed', 'canceled', 'expired'] as const
  test.each(finished)('to cancel when it is %s', (status) => {
    given(histories[status]).when(a.requestCancel).refuses('conflict')
  })
  test.each(['queued', 'running', 'succeeded'] as const)('a requeue while %s', (status) => {
    given(histories[status]).when(a.requeue(1)).refuses('conflict')
  })
  test('a requeue whose hold is given back by now, or may be at any moment', () => {
    const late = { abandoned: true }
    given(histories.failed).when(a.requeue(1, null)).refuses('unavailable', late)
    given(histories.failed)
      .when(a.requeue(1, at(9)))
      .refuses('unavailable', late)
    given(histories.failed)
      .when(a.requeue(1, at(10)))
      .then([a.requeued(1)])
    given([...histories.failed, a.requeued(1)])
      .when(a.requeue(1, null))
      .doesNothing()
  })
  test.each(finished)('to start when it is %s', (status) => {
    given(histories[status]).when(a.start(7)).refuses('conflict', { fenced: true })
  })
  test('to be submitted after it was abandoned', () => {
    given(histories.abandoned).when(submit).refuses('unavailable')
  })

  const commands = [
    a.start(1),
    a.completeStep('s1'),
    a.succeed(1),
    a.endAttempt(1),
    a.requestCancel,
    a.confirmCancel(1),
    a.enforceDeadline(at(9)),
    a.requeue(1),
  ]
  test.each(commands.map((command) => [command.type, command] as const))(
    '%s when there is no such job',
    (_, command) => {
      given([]).when(command).refuses('not_found')
      given(histories.abandoned).when(command).refuses('not_found')
    },
  )
})

describe('a worker that lost its lease', () => {
  const taken = [...running, a.retryScheduled(1), a.started(2)]
  const writes = [
    a.start(1),
    a.completeStep('s1'),
    a.succeed(1),
    a.endAttempt(1),
    a.confirmCancel(1),
  ]
  test.each(writes.map((command) => [command.type, command] as const))(
    'cannot %s any more',
    (_, command) => {
      given(taken).when(command).refuses('conflict', { fenced: true })
    },
  )
  test('cannot succeed while the job waits for the next attempt', () => {
    given(histories.waiting).when(a.succeed(1)).refuses('conflict', { fenced: true })
  })
  test.each([a.succeed(1), a.endAttempt(1)].map((command) => [command.type, command] as const))(
    'cannot %s a job that another attempt has ended',
    (_, command) => {
      given([...taken, a.succeeded])
        .when(command)
        .refuses('conflict', { fenced: true })
    },
  )
  test('cannot start again with the lease that ended', () => {
    given(histories.waiting).when(a.start(1)).refuses('conflict', { fenced: true })
  })
  test('cannot succeed a job that was requeued', () => {
    given([...histories.failed, a.requeued(1)])
      .when(a.succeed(1))
      .refuses('conflict', { fenced: true })
  })
})

describe('the state of a job', () => {
  test('holds what admission froze', () => {
    expect(jobAfter(queued)).toMatchObject({ status: 'queued', spec: a.jobSpec, attempt: 0 })
  })
  test('keeps the time of the first start over all attempts', () => {
    const job = jobAfter([...histories.waiting, a.started(2)])
    expect(job).toMatchObject({ status: 'running', attempt: 2, startedAt: at(1), runAt: null })
  })
  test('keeps the steps of earlier attempts, and progress never falls', () => {
    const job = jobAfter([...running, a.stepCompleted('s1'), a.retryScheduled(1), a.started(2)])
    expect(job.steps.get('s1')).toEqual({ output: { step: 's1' }, attempt: 1 })
    expect(job.progress).toBe(50)
    expect(jobDecider.evolve(job, lessProgress)).toMatchObject({ progress: 50 })
  })
  test('shows the last error while it waits', () => {
    const job = jobAfter(histories.waiting)
    expect(job).toMatchObject({ status: 'queued', runAt: at(10), error: a.retryable, failures: 1 })
  })
  test('ends with the result, at 100 %, without the error of an earlier attempt', () => {
    const job = jobAfter([...histories.waiting, a.started(2), a.succeeded])
    const end = { status: 'succeeded', progress: 100, result: a.result, error: null }
    expect(job).toMatchObject({ ...end, finishedAt: at(9) })
  })
  test('starts its failures anew when it is requeued, and keeps attempt, epoch and steps', () => {
    const failed = [...histories.waiting, a.started(2), a.stepCompleted('s1'), a.failed(2)]
    expect(jobAfter(failed).failures).toBe(1)
    const job = jobAfter([...failed, a.requeued(1)])
    expect(job).toMatchObject({ status: 'queued', requeues: 1, failures: 0, attempt: 2, epoch: 2 })
    expect(job).toMatchObject({ error: null, finishedAt: null })
    expect([...job.steps.keys()]).toEqual(['s1'])
  })
  test('is not canceled any more when it is requeued, and has a deadline and a hold anew', () => {
    const canceled = [...withDeadline, a.started(1), a.cancelRequested, a.canceled(1)]
    const job = jobAfter([...canceled, a.requeued(1, { deadlineAt: at(80) })])
    expect(job).toMatchObject({ cancelRequested: false, deadlineAt: at(80), heldMicro: '700' })
    expect(jobAfter([...canceled, a.requeued(1)]).deadlineAt).toBeNull()
  })
  test('is unchanged by events of a job that is not there', () => {
    const state = jobDecider.evolve({ status: 'absent' }, a.succeeded)
    expect(state).toEqual({ status: 'absent' })
  })
  test('is finished in its four ends only', () => {
    const all = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'] as const
    expect(all.filter(isFinished)).toEqual(['succeeded', 'failed', 'canceled', 'expired'])
  })
  test('names the hold that pays it: its own id, and one per requeue', () => {
    expect([holdIdOf('j1', 0), holdIdOf('j1', 2)]).toEqual(['j1', 'j1/2'])
    expect(holdIdsUpTo('j1', 'j1')).toEqual(['j1'])
    expect(holdIdsUpTo('j1', 'j1/2')).toEqual(['j1', 'j1/1', 'j1/2'])
  })
})

const lessProgress: JobEvent = {
  type: 'JobStepCompleted',
  data: { attempt: 2, epoch: 2, step: 's0', output: null, progress: 20 },
}

function jobAfter(history: readonly JobEvent[]): Job {
  const state: JobState = given(history).state
  if (state.status === 'absent' || state.status === 'abandoned') throw new Error('no job')
  return state
}
