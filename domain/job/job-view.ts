import { publicEventTypes } from '../catalog.ts'
import type { PublicEventType, Recorded } from '../catalog.ts'
import type { JsonObject } from '../json.ts'
import { evolve, isFinished } from './job.ts'
import type { Job, JobState, JobStatus } from './job.ts'
import type { JobError, JobEvent } from './job-events.ts'

/** What a job holds and was charged, micro-credits. */
export type JobCredits = { readonly held: string; readonly charged: string }

/** The job as customers see it. Field names are a contract. */
export type JobView = {
  readonly jobId: string
  readonly type: string
  readonly status: JobStatus
  readonly progress: number
  readonly attempt: number
  readonly revision: number
  readonly userId: string | null
  readonly metadata: JsonObject
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly result: {
    readonly url: string
    readonly contentType: string
    readonly bytes: number
    readonly sha256: string
    readonly outputs?: JsonObject
  } | null
  readonly error: JobError | null
  readonly credits: JobCredits
  readonly urls: {
    readonly self: string
    readonly cancel: string
    readonly events: string
    readonly result: string
  }
}

/** One transition of a job, as sockets, SSE and lists tell it. */
export type JobEventView = {
  readonly revision: number
  readonly type: PublicEventType
  readonly at: string
  readonly job: JobView
}

export function jobUrls(jobId: string, baseUrl: string): JobView['urls'] {
  const self = `${baseUrl}/v1/jobs/${jobId}`
  return {
    self,
    cancel: `${self}/cancel`,
    events: `${self}/events`,
    result: `${self}/result`,
  }
}

/** What is known of the credits from the job alone, until the balance has caught up. */
export function estimatedCredits(job: Job): JobCredits {
  return { held: isFinished(job.status) ? '0' : job.heldMicro, charged: '0' }
}

export function jobView(
  job: Job,
  revision: number,
  baseUrl: string,
  credits: JobCredits = estimatedCredits(job),
): JobView {
  const { spec } = job
  const urls = jobUrls(spec.jobId, baseUrl)
  return {
    jobId: spec.jobId,
    type: spec.jobType,
    status: job.status,
    progress: job.progress,
    attempt: job.attempt,
    revision,
    userId: spec.userId,
    metadata: spec.metadata,
    createdAt: spec.submittedAt,
    startedAt: job.startedAt,
    finishedAt: job.finishedAt,
    result: job.result && resultView(job.result, urls.result),
    error: job.error,
    credits,
    urls,
  }
}

/** The result of a job, as it stands in a job object. */
export function resultView(
  result: NonNullable<Job['result']>,
  url: string,
): NonNullable<JobView['result']> {
  const { contentType, bytes, sha256, outputs } = result
  return { url, contentType, bytes, sha256, ...(outputs ? { outputs } : {}) }
}

/** A transition and the state after it. */
export type JobTransition = {
  readonly revision: number
  readonly type: PublicEventType
  readonly at: string
  readonly job: Job
}

/** Folds events onto a state and tells each public transition on the way. */
export function jobTransitions(
  from: JobState,
  events: readonly Recorded<JobEvent>[],
): { readonly state: JobState; readonly transitions: readonly JobTransition[] } {
  let state = from
  const transitions: JobTransition[] = []
  for (const event of events) {
    state = evolve(state, event)
    if (event.type === 'SubmissionAbandoned') continue
    if (state.status === 'absent' || state.status === 'abandoned') continue
    const { revision, meta } = event
    transitions.push({ revision, type: publicEventTypes[event.type], at: meta.at, job: state })
  }
  return { state, transitions }
}
