import { publicEventTypes } from '../domain/catalog.ts'
import type { PublicEventType, Recorded } from '../domain/catalog.ts'
import type { JobError, JobEvent } from '../domain/job/job-events.ts'
import type { JobStatus } from '../domain/job/job.ts'
import type { JsonObject } from '../domain/json.ts'
import { webhookBody } from '../domain/webhook/payload.ts'
import { defineTable } from './projection.ts'
import type { Projection, Rows } from './projection.ts'

/** A job that named a webhook, with what its deliveries tell. */
export type JobWebhookRow = {
  readonly jobId: string
  readonly jobType: string
  readonly userId: string | null
  readonly url: string
  readonly events: readonly string[]
  readonly metadata: JsonObject
  readonly status: JobStatus
  readonly progress: number
  readonly revision: number
}

/** A delivery to make. The sender owns the other columns of the table. */
export type WebhookOutboxRow = {
  readonly deliveryId: string
  readonly orgId: string
  readonly jobId: string
  readonly url: string
  readonly eventType: string
  readonly sequence: number
  readonly body: string
  readonly nextAttemptAt: string
  readonly createdAt: string
  readonly updatedAt: string
}

export const jobWebhookTable = defineTable<JobWebhookRow>({
  name: 'job_webhook',
  key: 'jobId',
  columns: {
    jobId: 'text',
    jobType: 'text',
    userId: 'text',
    url: 'text',
    events: 'json',
    metadata: 'json',
    status: 'text',
    progress: 'int',
    revision: 'int',
  },
  appendOnly: false,
})

export const webhookOutboxTable = defineTable<WebhookOutboxRow>({
  name: 'webhook_outbox',
  key: 'deliveryId',
  columns: {
    deliveryId: 'text',
    orgId: 'text',
    jobId: 'text',
    url: 'text',
    eventType: 'text',
    sequence: 'int',
    body: 'text',
    nextAttemptAt: 'time',
    createdAt: 'time',
    updatedAt: 'time',
  },
  appendOnly: true,
})

/** What a job's webhook gets when it does not say. */
const defaultEvents: readonly PublicEventType[] = [
  'job.started',
  'job.succeeded',
  'job.failed',
  'job.canceled',
  'job.expired',
]

type Change = {
  readonly status?: JobStatus
  readonly progress?: number
  readonly error?: JobError | null
  readonly hasResult?: boolean
}

type Announce = (event: Recorded<JobEvent>, row: JobWebhookRow, change: Change, rows: Rows) => void

/** Writes the delivery of a transition, when the job's webhook wants it. */
function announcer(publicUrl: string): Announce {
  return (event, row, change, rows) => {
    if (event.type === 'SubmissionAbandoned') return
    const type = publicEventTypes[event.type]
    if (!row.events.includes(type)) return
    const { jobId, jobType, userId, url, metadata, status, progress, revision: sequence } = row
    const resultUrl = change.hasResult ? `${publicUrl}/v1/jobs/${jobId}/result` : null
    const error = change.error ?? null
    const about = { jobId, type: jobType, status, progress, resultUrl, error, sequence }
    const { at, orgId } = event.meta
    const body = webhookBody({ type, timestamp: at, data: { ...about, userId, metadata } })
    const times = { nextAttemptAt: at, createdAt: at, updatedAt: at }
    const deliveryId = event.id
    const delivery = { deliveryId, orgId, jobId, url, eventType: type, sequence, body, ...times }
    rows.put(webhookOutboxTable, delivery)
  }
}

/** @param publicUrl absolute base of the links in bodies, without a slash at the end */
export function webhookOutbox(publicUrl: string): Projection {
  const announce = announcer(publicUrl)
  const change = (event: Recorded<JobEvent>, rows: Rows, to: Change): void => {
    const row = rows.get(jobWebhookTable, event.stream.slice('job-'.length))
    if (!row || event.revision <= row.revision) return
    const status = to.status ?? row.status
    const progress = Math.max(row.progress, to.progress ?? 0)
    const next = { ...row, status, progress, revision: event.revision }
    rows.put(jobWebhookTable, next)
    announce(event, next, to, rows)
  }

  return {
    name: 'webhook_outbox',
    version: 1,
    rebuildable: false,
    tables: [jobWebhookTable, webhookOutboxTable],
    reads: (event) =>
      event.stream.startsWith('job-')
        ? [{ table: jobWebhookTable, key: event.stream.slice('job-'.length) }]
        : [],
    handlers: {
      JobSubmitted: (event, rows) => {
        const { jobId, jobType, userId, webhook, metadata } = event.data
        if (!webhook || rows.get(jobWebhookTable, jobId)) return
        const { url, events } = webhook
        const state = { status: 'queued' as const, progress: 0, revision: event.revision }
        const about = { jobId, jobType, userId, url, metadata }
        const row = { ...about, events: events ?? defaultEvents, ...state }
        rows.put(jobWebhookTable, row)
        announce(event, row, {}, rows)
      },
      JobStarted: (event, rows) => change(event, rows, { status: 'running' }),
      JobStepCompleted: (event, rows) => change(event, rows, { progress: event.data.progress }),
      JobRetryScheduled: (event, rows) =>
        change(event, rows, { status: 'queued', error: event.data.error }),
      JobCancelRequested: (event, rows) => change(event, rows, {}),
      JobSucceeded: (event, rows) =>
        change(event, rows, { status: 'succeeded', progress: 100, hasResult: true }),
      JobFailed: (event, rows) =>
        change(event, rows, { status: 'failed', error: event.data.error }),
      JobCanceled: (event, rows) => change(event, rows, { status: 'canceled' }),
      JobExpired: (event, rows) => change(event, rows, { status: 'expired' }),
      JobRequeued: (event, rows) => change(event, rows, { status: 'queued' }),
    },
  }
}
