import type { AlertEvent } from '../../../domain/account/account-events.ts'
import type { Recorded } from '../../../domain/catalog.ts'
import type { EventMeta } from '../../../domain/envelope.ts'
import type { JobEvent, JobSpec } from '../../../domain/job/job-events.ts'
import { jobTransitions } from '../../../domain/job/job-view.ts'
import type { JobEventView } from '../../../domain/job/job-view.ts'
import type { JobRequest } from '../../commands/job-request.ts'
import type { Balance } from '../../queries/get-credits.ts'
import { showTransitions } from '../../queries/get-job.ts'
import type { LedgerView } from '../../queries/ledger.ts'
import type { UsageView } from '../../queries/list-usage.ts'

// The examples tell one story: a photo is made four times as large. The code that answers requests
// makes them, from the events of that job; so they cannot say what weir would not say.

export const baseUrl = 'http://127.0.0.1:3000'
export const orgId = '019b8d2b-8c00-7c11-9a52-3f6b0d8e4a17'
export const uploadId = '019c1347-cb83-7b0e-8d34-61c2f5a9e70b'
export const jobId = '019c1347-d2f8-7e5a-a1f3-0c9d4b8e2f61'
export const endpointId = '019b9f04-5a17-7f62-b3d8-2e90c6a1f745'
export const deliveryId = `8c0e5f52-1d0c-5d8e-9a43-2f7b60d1c9e4.${endpointId}`
export const requestId = '019c1347-d2f6-7d20-b6c4-58a1e3f09d72'
export const keyId = '1OYwUbyTnNcVVFEJ2Ql8Wc0u5nZk1p'
export const apiKey = `weir_live_${keyId}_4fGh7Kq2ZtVb9XyLm3NpRs5Ud8WcJe1A_0aQ7xR`

const submittedAt = '2026-01-31T09:00:00.120Z'
const startedAt = '2026-01-31T09:00:00.164Z'
const steppedAt = '2026-01-31T09:00:01.873Z'
const finishedAt = '2026-01-31T09:00:01.902Z'
const priceMicro = '50000'

export const upscaleRequest: JobRequest = {
  type: 'image.upscale',
  input: { image: uploadId, scale: 4 },
  userId: 'u1',
  metadata: { album: 'rivers' },
  webhook: {
    url: 'https://shop.example/hooks/weir',
    events: ['job.succeeded', 'job.failed'],
  },
}

export const sandboxRequest: JobRequest = {
  type: 'sandbox.run',
  input: { steps: 3, stepMs: 200, fail: { atStep: 2, times: 1 } },
  priority: 'high',
  deadlineSeconds: 600,
}

const spec: JobSpec = {
  ...{ jobId, orgId, userId: 'u1', jobType: upscaleRequest.type, input: upscaleRequest.input },
  ...{ inputKey: null, priority: 'normal', webhook: null, metadata: { album: 'rivers' } },
  ...{ runAt: null, deadlineSeconds: null, deadlineAt: null, attemptsMax: 5 },
  ...{ estimateMicro: priceMicro, priceVersion: 1, traceparent: null, submittedAt },
}
const result = {
  key: `results/${jobId}/1/image.jpeg`,
  contentType: 'image/jpeg',
  bytes: 3_481_207,
  sha256: '5f2b6c1de0a94b7c83d6f1a2459e7b08c1d3f5a7980b2e4c6d8f0a1b3c5d7e9f',
  outputs: { width: 4800, height: 3200 },
}

const events: readonly Recorded<JobEvent>[] = [
  recorded({ type: 'JobSubmitted', data: spec }, 0, submittedAt),
  recorded(
    { type: 'JobStarted', data: { attempt: 1, epoch: 1, workerId: 'w1', startedAt } },
    1,
    startedAt,
  ),
  recorded(
    {
      type: 'JobStepCompleted',
      data: { attempt: 1, epoch: 1, step: 'upscale', output: null, progress: 20 },
    },
    2,
    steppedAt,
  ),
  recorded(
    { type: 'JobSucceeded', data: { attempt: 1, epoch: 1, result, holdId: jobId, finishedAt } },
    3,
    finishedAt,
  ),
]

/** What happened to the job, oldest first. */
export const transitions: readonly JobEventView[] = showTransitions(
  jobTransitions({ status: 'absent' }, events).transitions,
  undefined,
  baseUrl,
)

export const queuedEvent = at(0)
export const startedEvent = at(1)
export const succeededEvent = at(3)
export const queuedJob = queuedEvent.job
export const runningJob = startedEvent.job
/** The job once it is settled. */
export const succeededJob = {
  ...succeededEvent.job,
  credits: { held: '0', charged: priceMicro },
}

export const usage: UsageView = {
  usageId: '1ba1789d-71de-53a1-b7d5-eae339c8cf0c',
  ...{ jobId, userId: 'u1', provider: 'weir', model: 'lanczos3', units: { images: '1' } },
  ...{ ms: 1702, costNanoUsd: '0', chargedMicro: priceMicro, priceVersion: 1 },
  at: '2026-01-31T09:00:00.170Z',
}

/** What the photo cost, in the books. */
export const ledgerEntry: LedgerView = {
  ...{ seq: 5, tx_id: '7d0f53a9-2c1b-5d3e-9a77-60f1b1f0c2d4', entry_id: `${orgId}:0000000005` },
  ...{ booked_at_utc: finishedAt, recorded_at_utc: finishedAt, org_id: orgId, user_id: 'u1' },
  ...{ account: 'customer_credit', kind: 'usage', direction: 'debit', amount_micro: priceMicro },
  ...{ currency: 'CREDIT', balance_after_micro: '99950000', held_after_micro: '0' },
  ...{ grant_id: '0b8f4f6e-53d1-5d9a-8a52-19a4f3b0c6d7', grant_kind: 'promo', job_id: jobId },
  ...{ call_id: usage.usageId, provider: usage.provider, model: usage.model, units_in: '1' },
  ...{ units_out: null, ms: usage.ms, price_version: 1, cost_nano_usd: '0' },
  ...{ reason: 'image.upscale', actor: 'worker:w1', source: 'worker', stripe_ref: null },
  corrects_entry_id: null,
  prev_hash: '1f0c6a4be2d87359c0b1d4a6f8e37219a5c3e1f70b2d4c6e8a9f1b3d5c7e9f02',
  hash: '9b2e4d6f8a1c3e5f7091b3d5f7a9cbed0f1e2d3c4b5a69788796a5b4c3d2e1f0',
}

/** A hundred credits, less the photo. */
export const balance: Balance = {
  ...{ orgId, available: '99950000', held: '0', posted: '99950000', overdraft: '0' },
  currency: 'credits',
}

function recorded<Event extends JobEvent>(event: Event, revision: number, time: string) {
  const meta: EventMeta = {
    ...{ orgId, actor: `key:${keyId}`, correlationId: requestId, causationId: requestId },
    ...{ traceparent: null, at: time, schema: 1 },
  }
  const place = { id: requestId, stream: `job-${jobId}`, revision, position: String(revision) }
  const times = { recordedAt: time }
  return { ...event, ...place, ...times, meta }
}

function at(revision: number): JobEventView {
  const transition = transitions[revision]
  if (!transition) throw new Error(`the example has no revision ${revision}`)
  return transition
}

const alertBalance = {
  ...{ postedMicro: '19950000', heldMicro: '50000', overdraftMicro: '0' },
  availableMicro: '19900000',
}

/** Four fifths of the credits are used. */
export const balanceAlert: AlertEvent = {
  type: 'BalanceThresholdReached',
  data: {
    ...{ percent: 80, grantedMicro: '100000000', balance: alertBalance },
    reachedAt: '2026-01-31T10:05:11.604Z',
  },
}

/** Half of what may be upscaled in a month is. */
export const limitAlert: AlertEvent = {
  type: 'LimitThresholdReached',
  data: {
    ...{ scope: 'user', key: 'u1', kind: 'units', window: 'month', unit: 'megapixels' },
    ...{ max: 1_000, percent: 50, used: '512', balance: alertBalance },
    ...{ windowStart: '2026-01-01T00:00:00.000Z', resetAt: '2026-02-01T00:00:00.000Z' },
    reachedAt: '2026-01-31T10:05:11.604Z',
  },
}
