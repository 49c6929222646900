import type { Json, JsonObject } from '../json.ts'

// The storage format of job streams: names and fields never change, they get versions.

export type Priority = 'low' | 'normal' | 'high'
export type JobError = {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}
export type JobWebhook = { readonly url: string; readonly events: readonly string[] | null }
export type JobResult = {
  readonly key: string
  readonly contentType: string
  readonly bytes: number
  readonly sha256: string
  readonly outputs: JsonObject | null
}

/** What the customer asked for and what admission froze. */
export type JobSpec = {
  readonly jobId: string
  readonly orgId: string
  readonly userId: string | null
  readonly jobType: string
  /** Null when the input is too large for an event: then `inputKey` names the object. */
  readonly input: JsonObject | null
  readonly inputKey: string | null
  readonly priority: Priority
  readonly webhook: JobWebhook | null
  readonly metadata: JsonObject
  readonly runAt: string | null
  readonly deadlineSeconds: number | null
  readonly deadlineAt: string | null
  readonly attemptsMax: number
  readonly estimateMicro: string
  readonly priceVersion: number
  /** The trace that the whole life of the job belongs to. */
  readonly traceparent: string | null
  readonly submittedAt: string
}

/** A job was accepted and waits in the queue; its credits are held. */
export type JobSubmitted = { readonly type: 'JobSubmitted'; readonly data: JobSpec }
/** A worker began an attempt under the lease of that epoch. */
export type JobStarted = {
  readonly type: 'JobStarted'
  readonly data: {
    readonly attempt: number
    readonly epoch: number
    readonly workerId: string
    readonly startedAt: string
  }
}
/** A durable step ended; later attempts take its output instead of running it again. */
export type JobStepCompleted = {
  readonly type: 'JobStepCompleted'
  readonly data: {
    readonly attempt: number
    readonly epoch: number
    readonly step: string
    readonly output: Json
    readonly progress: number
  }
}
/**
 * Why an attempt ended without an end of the job; postponed: a provider's limits left no room, or
 * the object store was away.
 */
export type RetryReason = 'error' | 'lease_expired' | 'shutdown' | 'postponed'
/** An attempt ended without an end of the job, which waits in the queue until `runAt`. */
export type JobRetryScheduled = {
  readonly type: 'JobRetryScheduled'
  readonly data: {
    readonly attempt: number
    readonly epoch: number
    readonly reason: RetryReason
    readonly error: JobError | null
    readonly runAt: string
  }
}
/** The customer wants a running job canceled; its worker stops and confirms. */
export type JobCancelRequested = {
  readonly type: 'JobCancelRequested'
  readonly data: { readonly requestedAt: string }
}
/** The job ended well and its result is stored. */
export type JobSucceeded = {
  readonly type: 'JobSucceeded'
  readonly data: {
    readonly attempt: number
    readonly epoch: number
    readonly result: JobResult
    readonly holdId: string
    readonly finishedAt: string
  }
}
/** The job ended in an error that no retry will follow. */
export type JobFailed = {
  readonly type: 'JobFailed'
  readonly data: {
    readonly attempt: number
    readonly error: JobError
    readonly holdId: string
    readonly finishedAt: string
  }
}
/** The job ended because the customer wanted it to. */
export type JobCanceled = {
  readonly type: 'JobCanceled'
  readonly data: {
    readonly attempt: number
    readonly holdId: string
    readonly finishedAt: string
  }
}
/** The deadline passed before any attempt began. */
export type JobExpired = {
  readonly type: 'JobExpired'
  readonly data: { readonly holdId: string; readonly finishedAt: string }
}
/** A finished job was put back in the queue, paid by a hold of its own. */
export type JobRequeued = {
  readonly type: 'JobRequeued'
  readonly data: {
    readonly requeue: number
    readonly job: Pick<JobSpec, 'jobId' | 'orgId' | 'userId' | 'jobType' | 'priority'>
    readonly estimateMicro: string
    readonly requeuedAt: string
    readonly deadlineAt: string | null
    /** How it had ended; absent in what was written by earlier versions. */
    readonly previousStatus?: string
  }
}
/** A tombstone: the hold was there, the job never came, and now it cannot come any more. */
export type SubmissionAbandoned = {
  readonly type: 'SubmissionAbandoned'
  readonly data: { readonly abandonedAt: string }
}

export type JobEvent =
  | JobSubmitted
  | JobStarted
  | JobStepCompleted
  | JobRetryScheduled
  | JobCancelRequested
  | JobSucceeded
  | JobFailed
  | JobCanceled
  | JobExpired
  | JobRequeued
  | SubmissionAbandoned
