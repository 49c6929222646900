import type { JobCommand } from '../../domain/job/job.ts'
import type { JobError, JobEvent, JobRequeued } from '../../domain/job/job-events.ts'
import type { JobResult, JobSpec } from '../../domain/job/job-events.ts'

/** A time `seconds` after the tests began theirs. */
export function at(seconds: number): string {
  return new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()
}

export const jobSpec: JobSpec = {
  jobId: 'j1',
  orgId: 'acme',
  userId: 'u1',
  jobType: 'image.upscale',
  input: { image: 'photo', nested: { factor: 4, tags: ['a', null, true] } },
  inputKey: null,
  priority: 'normal',
  webhook: { url: 'https://acme.test/hook', events: ['job.succeeded'] },
  metadata: {},
  runAt: null,
  deadlineSeconds: null,
  deadlineAt: null,
  attemptsMax: 3,
  estimateMicro: '500',
  priceVersion: 1,
  submittedAt: at(0),
  traceparent: null,
}

export const result: JobResult = {
  key: 'results/j1',
  contentType: 'image/png',
  bytes: 1024,
  sha256: 'ab'.repeat(32),
  outputs: null,
}
export const retryable: JobError = { code: 'provider_down', message: 'Try later.', retryable: true }
export const fatal: JobError = { code: 'bad_picture', message: 'Not a photo.', retryable: false }
export const leaseExpired: JobError = {
  code: 'lease_expired',
  message: 'The worker stopped answering.',
  retryable: true,
}
export const deadlineExceeded: JobError = {
  code: 'deadline_exceeded',
  message: 'The job was not finished by its deadline.',
  retryable: false,
}

// Events

export function submitted(spec: Partial<JobSpec> = {}): JobEvent {
  return { type: 'JobSubmitted', data: { ...jobSpec, ...spec } }
}

export function started(attempt: number, epoch = attempt): JobEvent {
  return { type: 'JobStarted', data: { attempt, epoch, workerId: 'w1', startedAt: at(attempt) } }
}

export function stepCompleted(step: string, attempt = 1, epoch = attempt): JobEvent {
  const data = { attempt, epoch, step, output: { step }, progress: 50 }
  return { type: 'JobStepCompleted', data }
}

type Retry = Extract<JobEvent, { type: 'JobRetryScheduled' }>['data']

export function retryScheduled(attempt: number, data: Partial<Retry> = {}): JobEvent {
  const base = {
    attempt,
    epoch: attempt,
    reason: 'error',
    error: retryable,
    runAt: at(10),
  } as const
  return { type: 'JobRetryScheduled', data: { ...base, ...data } }
}

export const cancelRequested: JobEvent = {
  type: 'JobCancelRequested',
  data: { requestedAt: at(5) },
}
export const succeeded: JobEvent = {
  type: 'JobSucceeded',
  data: { attempt: 1, epoch: 1, result, holdId: 'j1', finishedAt: at(9) },
}

export function failed(attempt: number, error: JobError = fatal, finishedAt = at(9)): JobEvent {
  return { type: 'JobFailed', data: { attempt, error, holdId: 'j1', finishedAt } }
}

export function canceled(attempt: number, finishedAt = at(9), holdId = 'j1'): JobEvent {
  return { type: 'JobCanceled', data: { attempt, holdId, finishedAt } }
}

export const expired: JobEvent = {
  type: 'JobExpired',
  data: { holdId: 'j1', finishedAt: at(9) },
}
export const abandoned: JobEvent = { type: 'SubmissionAbandoned', data: { abandonedAt: at(9) } }

export function requeued(
  requeue: number,
  { deadlineAt = null, previousStatus = 'failed' }: Partial<JobRequeued['data']> = {},
): JobEvent {
  const { jobId, orgId, userId, jobType, priority } = jobSpec
  const job = { jobId, orgId, userId, jobType, priority }
  const data = {
    requeue,
    job,
    estimateMicro: '700',
    requeuedAt: at(20),
    deadlineAt,
    previousStatus,
  }
  return { type: 'JobRequeued', data }
}

// Commands

type Of<Type extends JobCommand['type']> = Extract<JobCommand, { type: Type }>

export function start(epoch: number, time = at(epoch)): Of<'StartJob'> {
  return { type: 'StartJob', epoch, workerId: 'w1', at: time }
}

export function completeStep(step: string, epoch = 1): Of<'CompleteStep'> {
  return { type: 'CompleteStep', epoch, step, output: { step }, progress: 50 }
}

export function succeed(epoch: number): Of<'SucceedJob'> {
  return { type: 'SucceedJob', epoch, result, at: at(9) }
}

export function endAttempt(epoch: number, more: Partial<Of<'EndAttempt'>> = {}): Of<'EndAttempt'> {
  const base = { reason: 'error', error: retryable, runAt: at(10), at: at(9) } as const
  return { type: 'EndAttempt', epoch, ...base, ...more }
}

export const requestCancel: JobCommand = { type: 'RequestCancel', at: at(9) }
export const confirmCancel = (epoch: number): JobCommand => ({
  type: 'ConfirmCancel',
  epoch,
  at: at(9),
})
export const enforceDeadline = (time: string): JobCommand => ({ type: 'EnforceDeadline', at: time })
export const requeue = (number: number, heldAt: string | null = at(19)): JobCommand => ({
  type: 'RequeueJob',
  requeue: number,
  estimateMicro: '700',
  heldAt,
  at: at(20),
})
export const abandon: JobCommand = { type: 'AbandonSubmission', at: at(9) }

// Histories by the status that they lead to

export const queued = [submitted()]
export const running = [...queued, started(1)]
export const histories = {
  absent: [],
  abandoned: [abandoned],
  queued,
  running,
  canceling: [...running, cancelRequested],
  waiting: [...running, retryScheduled(1)],
  succeeded: [...running, succeeded],
  failed: [...running, failed(1)],
  canceled: [...queued, canceled(0)],
  expired: [...queued, expired],
} as const satisfies Record<string, readonly JobEvent[]>
