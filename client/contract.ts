// The HTTP contract as a customer sees it, written down once more: the SDK imports nothing of weir.
// Amounts are strings of integer micro-credits, times are ISO 8601.

export type JobStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled' | 'expired'

export type Priority = 'low' | 'normal' | 'high'

/** What happens to a job, the same in lists, streams, sockets and webhooks. */
export type JobEventType =
  | 'job.queued'
  | 'job.started'
  | 'job.step_completed'
  | 'job.retry_scheduled'
  | 'job.cancel_requested'
  | 'job.succeeded'
  | 'job.failed'
  | 'job.canceled'
  | 'job.expired'
  | 'job.requeued'

/** What `submit` takes. */
export type NewJob = {
  /** One of `GET /v1/job-types`. */
  readonly type: string
  readonly input: object
  /** Your user: for filters, usage and client tokens. */
  readonly userId?: string | null
  readonly priority?: Priority
  readonly webhook?: { readonly url: string; readonly events?: readonly JobEventType[] } | null
  /** Yours; at most 16 KB. */
  readonly metadata?: object
  /** Not before this time. */
  readonly runAt?: string | null
  readonly deadlineSeconds?: number | null
}

export type JobFailure = {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}

export type JobResult = {
  /** Answers with a redirect, and needs your key. */
  readonly url: string
  readonly contentType: string
  readonly bytes: number
  readonly sha256: string
  readonly outputs?: Readonly<Record<string, unknown>>
}

export type Job = {
  readonly jobId: string
  readonly type: string
  readonly status: JobStatus
  /** 0 to 100; 100 exactly when it succeeded. */
  readonly progress: number
  readonly attempt: number
  /** How many events the job has had before its last one. */
  readonly revision: number
  readonly userId: string | null
  readonly metadata: Readonly<Record<string, unknown>>
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly result: JobResult | null
  readonly error: JobFailure | null
  readonly credits: { readonly held: string; readonly charged: string }
  readonly urls: {
    readonly self: string
    readonly cancel: string
    readonly events: string
    readonly result: string
  }
}

/** One transition, and the job as it was after it. */
export type JobEvent = {
  readonly revision: number
  readonly type: JobEventType
  readonly at: string
  readonly job: Job
}

/** A signal between transitions, which may be lost. */
export type Progress = {
  readonly progress: number
  readonly step?: string
  readonly message?: string
}

/** What became of one job of a batch. */
export type BatchItem =
  { readonly status: 202; readonly job: Job } | { readonly status: number; readonly error: Problem }

export type JobFilter = {
  readonly status?: JobStatus
  readonly type?: string
  readonly userId?: string
  /** Created at this time or later. */
  readonly from?: string
  /** Created before this time. */
  readonly to?: string
}

export type UsageFilter = {
  readonly jobId?: string
  readonly userId?: string
  readonly provider?: string
  readonly from?: string
  readonly to?: string
}

/** One call of a provider, and what it cost. */
export type Usage = {
  readonly usageId: string
  readonly jobId: string
  readonly userId: string | null
  readonly provider: string
  readonly model: string | null
  /** Counts as strings, by unit. */
  readonly units: Readonly<Record<string, unknown>>
  readonly ms: number
  readonly costNanoUsd: string
  readonly chargedMicro: string
  readonly priceVersion: number
  readonly at: string
}

export type Balance = {
  readonly orgId: string
  /** What can still be held: posted less held, and the overdraft. */
  readonly available: string
  readonly held: string
  readonly posted: string
  readonly overdraft: string
  readonly currency: 'credits'
}

export type TokenRequest = {
  /** The jobs of this user may be seen. */
  readonly userId?: string
  /** These channels may be seen: `job:<jobId>`. */
  readonly channels?: readonly string[]
  /** 300 unless given, 3600 at most. */
  readonly ttlSeconds?: number
}

/** What a browser gets instead of your key: it may watch and read, and nothing else. */
export type ClientToken = { readonly token: string; readonly expiresAt: string }

export type FieldError = { readonly pointer: string; readonly detail: string }

/** `application/problem+json`; some codes add members, like `required` and `available`. */
export type Problem = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly requestId: string
  readonly errors?: readonly FieldError[]
  readonly [member: string]: unknown
}

export type Page<T> = { readonly items: readonly T[]; readonly nextCursor: string | null }

/** The job in a webhook. */
export type WebhookJob = {
  readonly jobId: string
  readonly type: string
  readonly status: JobStatus
  readonly progress: number
  readonly resultUrl: string | null
  readonly error: JobFailure | null
  /** The revision of the job. Webhooks overtake each other: drop what is not beyond the last. */
  readonly sequence: number
  readonly userId: string | null
  /** Left out when the body would be too large. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** A webhook that tells of a job. */
export type JobWebhook = {
  readonly type: JobEventType
  readonly timestamp: string
  readonly data: WebhookJob
}

/** A limit that is being used up. */
export type LimitUse = {
  readonly scope: string
  readonly key: string | null
  readonly kind: string
  readonly window: string
  readonly unit: string | null
  /** As it was set. */
  readonly max: string | number
  readonly used: string
  readonly windowStart: string
  readonly resetAt: string
}

/** What the organisation is told when 50, 80 or 100 % of something are used. */
export type AlertWebhook =
  | {
      readonly type: 'balance.low'
      readonly timestamp: string
      readonly data: {
        readonly orgId: string
        readonly percent: number
        /** What 100 % is; null when it is a limit. */
        readonly granted: string | null
        readonly posted: string
        readonly held: string
        readonly overdraft: string
        readonly available: string
        /** The limit on spend that is being used up; null when it is the balance. */
        readonly limit: LimitUse | null
        readonly sequence: number
      }
    }
  | {
      readonly type: 'limit.reached'
      readonly timestamp: string
      readonly data: {
        readonly orgId: string
        readonly percent: number
        readonly limit: LimitUse
        readonly sequence: number
      }
    }

/** The body of a webhook. */
export type WebhookEvent =
  | JobWebhook
  | AlertWebhook
  | {
      readonly type: 'topup.failed' | 'webhook.test'
      readonly timestamp: string
      readonly data: Readonly<Record<string, unknown>>
    }

export function isFinished({ status }: Pick<Job, 'status'>): boolean {
  return status !== 'queued' && status !== 'running'
}
