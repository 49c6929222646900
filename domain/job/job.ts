import { Map } from 'immutable'
import type { Decider } from '../decider.ts'
import { DomainError } from '../errors.ts'
import type { Json } from '../json.ts'
import { isoTime } from '../ports/clock.ts'
import { unreachable } from '../unreachable.ts'
import type {
  JobError,
  JobEvent,
  JobRequeued,
  JobResult,
  JobSpec,
  RetryReason,
} from './job-events.ts'

/**
 *            submit           start              succeed
 *  (absent) ───────▶ queued ─────────▶ running ───────────▶ succeeded
 *                    │  ▲  ▲             │ │ └─ fail ─────▶ failed
 *                    │  │  └─ retry ─────┘ └─── cancel ───▶ canceled
 *                    │  └──── requeue ── failed, canceled, expired
 *                    ├─ cancel ─▶ canceled
 *                    └─ deadline ▶ expired (never started) or failed
 */
export const jobStream = (jobId: string): string => `job-${jobId}`

// State

export type JobStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled' | 'expired'
export type Step = { readonly output: Json; readonly attempt: number }
export type Job = {
  readonly status: JobStatus
  readonly spec: JobSpec
  readonly attempt: number
  /** Attempts since the last requeue that ended in an error or a lost lease. */
  readonly failures: number
  readonly epoch: number
  readonly requeues: number
  /** What was held when the job was queued the last time, micro-credits. */
  readonly heldMicro: string
  readonly progress: number
  /** Shares what it has in common with the states before: a job may have a thousand steps. */
  readonly steps: Map<string, Step>
  readonly cancelRequested: boolean
  readonly runAt: string | null
  readonly deadlineAt: string | null
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly result: JobResult | null
  readonly error: JobError | null
}
export type JobState = Job | { readonly status: 'absent' } | { readonly status: 'abandoned' }

export function existingJob(state: JobState): Job {
  if (state.status === 'absent' || state.status === 'abandoned') {
    throw new DomainError('not_found', 'There is no such job.')
  }
  return state
}

export function isFinished(status: JobStatus): boolean {
  return status !== 'queued' && status !== 'running'
}

/** The hold that pays the job as it was queued the last time. */
export function holdIdOf(jobId: string, requeues: number): string {
  return requeues === 0 ? jobId : `${jobId}/${requeues}`
}

/** Every hold that the job had, up to this one. */
export function holdIdsUpTo(jobId: string, holdId: string): readonly string[] {
  const requeues = Number(holdId.slice(jobId.length + 1))
  return Array.from({ length: requeues + 1 }, (_, requeue) => holdIdOf(jobId, requeue))
}

const currentHold = (job: Job): string => holdIdOf(job.spec.jobId, job.requeues)

export function evolve(state: JobState, event: JobEvent): JobState {
  if (event.type === 'JobSubmitted') return submitted(event.data)
  if (event.type === 'SubmissionAbandoned') return { status: 'abandoned' }
  if (state.status === 'absent' || state.status === 'abandoned') return state
  switch (event.type) {
    case 'JobStarted': {
      const { attempt, epoch, startedAt } = event.data
      const first = state.startedAt ?? startedAt
      return { ...state, status: 'running', attempt, epoch, startedAt: first, runAt: null }
    }
    case 'JobStepCompleted': {
      const { step, output, attempt, progress } = event.data
      const steps = state.steps.set(step, { output, attempt })
      return { ...state, steps, progress: Math.max(state.progress, progress) }
    }
    case 'JobRetryScheduled': {
      const { runAt, error, reason } = event.data
      const failures = state.failures + failuresOf(reason)
      return { ...state, status: 'queued', runAt, error, failures }
    }
    case 'JobCancelRequested':
      return { ...state, cancelRequested: true }
    case 'JobSucceeded':
      return { ...ended(state, 'succeeded', event.data.finishedAt), ...success(event.data.result) }
    case 'JobFailed':
      return { ...ended(state, 'failed', event.data.finishedAt), error: event.data.error }
    case 'JobCanceled':
      return ended(state, 'canceled', event.data.finishedAt)
    case 'JobExpired':
      return ended(state, 'expired', event.data.finishedAt)
    case 'JobRequeued':
      return requeued(state, event.data)
    default:
      return unreachable(event)
  }
}

function submitted(spec: JobSpec): Job {
  return {
    status: 'queued',
    spec,
    attempt: 0,
    failures: 0,
    epoch: 0,
    requeues: 0,
    heldMicro: spec.estimateMicro,
    progress: 0,
    steps: Map(),
    cancelRequested: false,
    runAt: spec.runAt,
    deadlineAt: spec.deadlineAt,
    startedAt: null,
    finishedAt: null,
    result: null,
    error: null,
  }
}

const success = (result: JobResult) => ({ result, error: null, progress: 100 })

function ended(job: Job, status: JobStatus, finishedAt: string): Job {
  return { ...job, status, finishedAt, runAt: null }
}

function requeued(job: Job, data: JobRequeued['data']): Job {
  return {
    ...job,
    status: 'queued',
    requeues: data.requeue,
    heldMicro: data.estimateMicro,
    failures: 0,
    cancelRequested: false,
    runAt: null,
    deadlineAt: data.deadlineAt,
    finishedAt: null,
    error: null,
  }
}

// Commands

export type JobCommand =
  | { readonly type: 'SubmitJob'; readonly spec: JobSpec }
  | {
      readonly type: 'StartJob'
      readonly epoch: number
      readonly workerId: string
      readonly at: string
    }
  | {
      readonly type: 'CompleteStep'
      readonly epoch: number
      readonly step: string
      readonly output: Json
      readonly progress: number
    }
  | {
      readonly type: 'SucceedJob'
      readonly epoch: number
      readonly result: JobResult
      readonly at: string
    }
  | {
      readonly type: 'EndAttempt'
      readonly epoch: number
      readonly reason: RetryReason
      readonly error: JobError | null
      readonly runAt: string
      readonly at: string
    }
  | { readonly type: 'RequestCancel'; readonly at: string }
  | { readonly type: 'ConfirmCancel'; readonly epoch: number; readonly at: string }
  | { readonly type: 'EnforceDeadline'; readonly at: string }
  | {
      readonly type: 'RequeueJob'
      readonly requeue: number
      readonly estimateMicro: string
      /** When the hold was made that pays it; null when that is not open any more. */
      readonly heldAt: string | null
      readonly at: string
    }
  | { readonly type: 'AbandonSubmission'; readonly at: string }

export function decide(state: JobState, command: JobCommand): readonly JobEvent[] {
  switch (command.type) {
    case 'SubmitJob':
      return submit(state, command.spec)
    case 'StartJob':
      return start(existingJob(state), command)
    case 'CompleteStep':
      return completeStep(existingJob(state), command)
    case 'SucceedJob':
      return succeed(existingJob(state), command)
    case 'EndAttempt':
      return endAttempt(existingJob(state), command)
    case 'RequestCancel':
      return requestCancel(existingJob(state), command.at)
    case 'ConfirmCancel':
      return confirmCancel(existingJob(state), command)
    case 'EnforceDeadline':
      return enforceDeadline(existingJob(state), command.at)
    case 'RequeueJob':
      return requeue(existingJob(state), command)
    case 'AbandonSubmission':
      return state.status === 'absent'
        ? [{ type: 'SubmissionAbandoned', data: { abandonedAt: command.at } }]
        : []
    default:
      return unreachable(command)
  }
}

export const jobDecider: Decider<JobState, JobCommand, JobEvent> = {
  initial: { status: 'absent' },
  evolve,
  decide,
}

type Of<Type extends JobCommand['type']> = Extract<JobCommand, { type: Type }>

function submit(state: JobState, spec: JobSpec): readonly JobEvent[] {
  if (state.status === 'abandoned') {
    const detail = 'The submission took too long and was given up; it can be made again.'
    throw new DomainError('unavailable', detail, { abandoned: true })
  }
  return state.status === 'absent' ? [{ type: 'JobSubmitted', data: spec }] : []
}

function start(job: Job, { epoch, workerId, at }: Of<'StartJob'>): readonly JobEvent[] {
  if (job.status === 'running' && job.epoch === epoch) return []
  if (isFinished(job.status) || epoch <= job.epoch) throw fenced(job)
  const overdue = enforceDeadline(job, at)
  if (overdue.length > 0) return overdue
  if (job.status === 'running') return leaseLost(job, at)
  return [
    { type: 'JobStarted', data: { attempt: job.attempt + 1, epoch, workerId, startedAt: at } },
  ]
}

/** A newer claim met an attempt that nobody ended: end that one, the queue offers the job again. */
function leaseLost(job: Job, at: string): readonly JobEvent[] {
  return afterFailure(job, { reason: 'lease_expired', error: null, runAt: at, at })
}

function completeStep(job: Job, command: Of<'CompleteStep'>): readonly JobEvent[] {
  const { epoch, step, output, progress } = command
  if (job.steps.has(step)) return []
  requireHolder(job, epoch)
  const { attempt } = job
  return [{ type: 'JobStepCompleted', data: { attempt, epoch, step, output, progress } }]
}

function succeed(job: Job, { epoch, result, at }: Of<'SucceedJob'>): readonly JobEvent[] {
  if (job.status === 'succeeded' && job.epoch === epoch) return []
  requireHolder(job, epoch)
  const { attempt } = job
  const data = { attempt, epoch, result, holdId: currentHold(job), finishedAt: at }
  return [{ type: 'JobSucceeded', data }]
}

function endAttempt(job: Job, command: Of<'EndAttempt'>): readonly JobEvent[] {
  if (job.status !== 'running' && job.epoch === command.epoch) return []
  requireHolder(job, command.epoch)
  return afterFailure(job, command)
}

type Failure = Pick<Of<'EndAttempt'>, 'reason' | 'error' | 'runAt' | 'at'>

/** What ended an attempt when nobody names it. Without an error a job would be retried for ever. */
const unnamedError: Readonly<Record<RetryReason, JobError | null>> = {
  error: { code: 'internal', message: 'The attempt ended in an error.', retryable: true },
  lease_expired: {
    code: 'lease_expired',
    message: 'The worker stopped answering.',
    retryable: true,
  },
  shutdown: null,
  postponed: null,
}

/** Only what the job or its worker could not do counts as a failure. */
function failuresOf(reason: RetryReason): number {
  return reason === 'shutdown' || reason === 'postponed' ? 0 : 1
}

function afterFailure(job: Job, { reason, runAt, at, ...named }: Failure): readonly JobEvent[] {
  const { attempt, epoch } = job
  const error = named.error ?? unnamedError[reason]
  if (job.cancelRequested) return [canceled(job, at)]
  const exhausted = job.failures + failuresOf(reason) >= job.spec.attemptsMax
  if (error && (!error.retryable || exhausted)) return [failed(job, error, at)]
  if (job.deadlineAt !== null && runAt >= job.deadlineAt) return [failed(job, deadlineError, at)]
  return [{ type: 'JobRetryScheduled', data: { attempt, epoch, reason, error, runAt } }]
}

function requestCancel(job: Job, at: string): readonly JobEvent[] {
  if (job.status === 'queued') return [canceled(job, at)]
  if (job.status !== 'running') {
    throw new DomainError('conflict', `The job is already ${job.status}.`)
  }
  return job.cancelRequested ? [] : [{ type: 'JobCancelRequested', data: { requestedAt: at } }]
}

function confirmCancel(job: Job, { epoch, at }: Of<'ConfirmCancel'>): readonly JobEvent[] {
  if (job.status === 'canceled') return []
  requireHolder(job, epoch)
  return [canceled(job, at)]
}

const deadlineError: JobError = {
  code: 'deadline_exceeded',
  message: 'The job was not finished by its deadline.',
  retryable: false,
}

function enforceDeadline(job: Job, at: string): readonly JobEvent[] {
  const due = job.deadlineAt !== null && job.deadlineAt <= at && !isFinished(job.status)
  if (!due) return []
  const neverStarted = job.status === 'queued' && job.startedAt === null
  if (!neverStarted) return [failed(job, deadlineError, at)]
  return [{ type: 'JobExpired', data: { holdId: currentHold(job), finishedAt: at } }]
}

/**
 * A hold waits so long for its requeue, ms; twice as long after it was made the rescuer gives it
 * back. A tombstone, as for a submission, would be a hole in what the job's subscribers are told.
 */
const heldMsMax = 10_000

function requeue(job: Job, command: Of<'RequeueJob'>): readonly JobEvent[] {
  if (job.requeues >= command.requeue) return []
  if (!isFinished(job.status) || job.status === 'succeeded') {
    throw new DomainError('conflict', `A job that is ${job.status} cannot be retried.`)
  }
  const { requeue, estimateMicro, heldAt, at } = command
  if (heldAt === null || Date.parse(at) - Date.parse(heldAt) > heldMsMax) {
    const detail = 'The retry took too long and was given up; it can be made again.'
    throw new DomainError('unavailable', detail, { abandoned: true })
  }
  const deadlineAt = deadlineAfter(at, job.spec.deadlineSeconds)
  const { jobId, orgId, userId, jobType, priority } = job.spec
  const spec = { jobId, orgId, userId, jobType, priority }
  const { status: previousStatus } = job
  const data = { requeue, job: spec, estimateMicro, requeuedAt: at, deadlineAt, previousStatus }
  return [{ type: 'JobRequeued', data }]
}

/** The deadline of a job that is queued at `from`; null when it has none. */
export function deadlineAfter(from: string, deadlineSeconds: number | null): string | null {
  if (deadlineSeconds === null) return null
  return isoTime(Date.parse(from) + deadlineSeconds * 1000)
}

function canceled(job: Job, finishedAt: string): JobEvent {
  const { attempt } = job
  return { type: 'JobCanceled', data: { attempt, holdId: currentHold(job), finishedAt } }
}

function failed(job: Job, error: JobError, finishedAt: string): JobEvent {
  const { attempt } = job
  return { type: 'JobFailed', data: { attempt, error, holdId: currentHold(job), finishedAt } }
}

/** Only the holder of the newest lease may write; everyone else lost it and must stop. */
function requireHolder(job: Job, epoch: number): void {
  if (job.status !== 'running' || job.epoch !== epoch) throw fenced(job)
}

function fenced(job: Job): DomainError {
  return new DomainError('conflict', `The lease was lost: the job is ${job.status}.`, {
    fenced: true,
  })
}
