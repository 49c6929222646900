import type {
  AlertEvent,
  WebhookEndpointEnabled,
  WebhookEndpointEvent,
  WebhookEndpointRegistered,
} from '../domain/account/account-events.ts'
import { publicEventTypes } from '../domain/catalog.ts'
import type { Recorded } from '../domain/catalog.ts'
import type { JobError, JobEvent } from '../domain/job/job-events.ts'
import type { JobStatus } from '../domain/job/job.ts'
import type { JsonObject } from '../domain/json.ts'
import { alertWebhook } from '../domain/webhook/alert-payload.ts'
import { defaultWebhookEvents } from '../domain/webhook/event-types.ts'
import { webhookBody } from '../domain/webhook/payload.ts'
import { jobStatusTable } from './job-status.ts'
import { defineTable } from './projection.ts'
import type { Handlers, Projection, RowRef, Rows } from './projection.ts'

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

/** An endpoint that is to hear of an org's jobs, and of its account. */
type ListeningEndpoint = {
  readonly endpointId: string
  readonly url: string
  readonly events: readonly string[]
}

/**
 * The endpoints of an org that are neither removed nor disabled, in one row: a page of events then
 * costs one small read, of as many rows as it has orgs, and nothing per job.
 */
export type WebhookEndpointRow = {
  readonly orgId: string
  readonly endpoints: readonly ListeningEndpoint[]
  /** Of the account: what was seen. */
  readonly revision: number
}

/** A delivery to make. The sender owns the other columns of the table. */
export type WebhookOutboxRow = {
  readonly deliveryId: string
  readonly orgId: string
  /** Null for what is told of the account. */
  readonly jobId: string | null
  /** Null for the webhook that the job itself names. */
  readonly endpointId: string | null
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

export const webhookEndpointTable = defineTable<WebhookEndpointRow>({
  name: 'webhook_endpoint',
  key: 'orgId',
  columns: { orgId: 'text', endpoints: 'json', revision: 'int' },
  appendOnly: false,
})

export const webhookOutboxTable = defineTable<WebhookOutboxRow>({
  name: 'webhook_outbox',
  key: 'deliveryId',
  columns: {
    deliveryId: 'text',
    orgId: 'text',
    jobId: 'text',
    endpointId: 'text',
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

/** What an event makes of its job. */
type Change = {
  readonly status: JobStatus
  readonly progress?: number
  readonly error?: JobError | null
  readonly hasResult?: boolean
}

/** What deliveries tell of a job. */
type Told = Omit<JobWebhookRow, 'url' | 'events'>

type Receiver = Omit<ListeningEndpoint, 'endpointId'> & { readonly endpointId: string | null }

/** The webhook of the job and the endpoints of its org. */
function receiversOf(event: Recorded<JobEvent>, rows: Rows): readonly Receiver[] {
  const own = rows.get(jobWebhookTable, jobIdOf(event))
  const registered = rows.get(webhookEndpointTable, event.meta.orgId)?.endpoints ?? []
  return own ? [{ endpointId: null, url: own.url, events: own.events }, ...registered] : registered
}

type Announce = (event: Recorded<JobEvent>, told: Told, change: Change, rows: Rows) => void

/** Writes a delivery for everybody who wants to hear of a transition. */
function announcer(publicUrl: string): Announce {
  return (event, told, change, rows) => {
    if (event.type === 'SubmissionAbandoned') return
    const type = publicEventTypes[event.type]
    const receivers = receiversOf(event, rows).filter(({ events }) => events.includes(type))
    if (receivers.length === 0) return
    const { jobId, jobType, userId, metadata, status, progress, revision: sequence } = told
    const resultUrl = change.hasResult ? `${publicUrl}/v1/jobs/${jobId}/result` : null
    const error = change.error ?? null
    const about = { jobId, type: jobType, status, progress, resultUrl, error, sequence }
    const { at, orgId } = event.meta
    const body = webhookBody({ type, timestamp: at, data: { ...about, userId, metadata } })
    const times = { nextAttemptAt: at, createdAt: at, updatedAt: at }
    for (const { endpointId, url } of receivers) {
      const deliveryId = endpointId === null ? event.id : `${event.id}.${endpointId}`
      const delivery = { deliveryId, orgId, jobId, endpointId, url, eventType: type }
      rows.put(webhookOutboxTable, { ...delivery, sequence, body, ...times })
    }
  }
}

/** @param publicUrl absolute base of the links in bodies, without a slash at the end */
export function webhookOutbox(publicUrl: string): Projection {
  return {
    name: 'webhook_outbox',
    version: 1,
    order: 'org',
    rebuildable: false,
    tables: [jobWebhookTable, webhookEndpointTable, webhookOutboxTable],
    reads,
    handlers: { ...jobHandlers(announcer(publicUrl)), ...accountHandlers },
  }
}

function reads(event: Recorded): readonly RowRef[] {
  const endpoints = { table: webhookEndpointTable, key: event.meta.orgId }
  if (Object.hasOwn(accountHandlers, event.type)) return [endpoints]
  if (!event.stream.startsWith('job-')) return []
  const key = jobIdOf(event)
  // The status of the job is in the page already, for the projection that keeps it.
  const isNew = event.type === 'JobSubmitted'
  return [endpoints, { table: jobWebhookTable, key, isNew }, { table: jobStatusTable, key, isNew }]
}

function jobIdOf(event: Recorded): string {
  return event.stream.slice('job-'.length)
}

function jobHandlers(announce: Announce): Handlers {
  /**
   * A job that names no webhook has no row of its own here: for the endpoints of its org, also for
   * those that were registered after it began, its status tells what it is about. Only `progress`
   * could be ahead of the event there, while these deliveries are behind.
   */
  const change = (event: Recorded<JobEvent>, rows: Rows, to: Change): void => {
    const own = rows.get(jobWebhookTable, jobIdOf(event))
    if (own && event.revision <= own.revision) return
    const known = own ?? rows.get(jobStatusTable, jobIdOf(event))
    if (!known) return
    const { jobId, jobType, userId, metadata } = known
    const progress = Math.max(known.progress, to.progress ?? 0)
    const state = { status: to.status, progress, revision: event.revision }
    if (own) rows.put(jobWebhookTable, { ...own, ...state })
    announce(event, { jobId, jobType, userId, metadata, ...state }, to, rows)
  }

  return {
    JobSubmitted: (event, rows) => {
      const { jobId, jobType, userId, webhook, metadata } = event.data
      if (rows.get(jobWebhookTable, jobId)) return
      const state = { status: 'queued' as const, progress: 0, revision: event.revision }
      const told = { jobId, jobType, userId, metadata, ...state }
      if (webhook) {
        const events = webhook.events ?? defaultWebhookEvents
        rows.put(jobWebhookTable, { ...told, url: webhook.url, events })
      }
      announce(event, told, { status: 'queued' }, rows)
    },
    JobStarted: (event, rows) => change(event, rows, { status: 'running' }),
    JobStepCompleted: (event, rows) =>
      change(event, rows, { status: 'running', progress: event.data.progress }),
    JobRetryScheduled: (event, rows) =>
      change(event, rows, { status: 'queued', error: event.data.error }),
    JobCancelRequested: (event, rows) => change(event, rows, { status: 'running' }),
    JobSucceeded: (event, rows) =>
      change(event, rows, { status: 'succeeded', progress: 100, hasResult: true }),
    JobFailed: (event, rows) => change(event, rows, { status: 'failed', error: event.data.error }),
    JobCanceled: (event, rows) => change(event, rows, { status: 'canceled' }),
    JobExpired: (event, rows) => change(event, rows, { status: 'expired' }),
    JobRequeued: (event, rows) => change(event, rows, { status: 'queued' }),
  }
}

type Listening = readonly ListeningEndpoint[]

function listen(
  { meta, revision }: Recorded<WebhookEndpointEvent>,
  rows: Rows,
  change: (endpoints: Listening) => Listening,
): void {
  const { orgId } = meta
  const row = rows.get(webhookEndpointTable, orgId)
  if (row && revision <= row.revision) return
  rows.put(webhookEndpointTable, { orgId, endpoints: change(row?.endpoints ?? []), revision })
}

function listenFromNowOn(
  event: Recorded<WebhookEndpointRegistered | WebhookEndpointEnabled>,
  rows: Rows,
): void {
  const { endpointId, url, events } = event.data
  const endpoint = { endpointId, url, events: events ?? defaultWebhookEvents }
  listen(event, rows, (endpoints) => [...endpoints, endpoint])
}

const without = (endpointId: string) => (endpoints: Listening) =>
  endpoints.filter((endpoint) => endpoint.endpointId !== endpointId)

/** Writes a delivery for every endpoint that wants to hear of an alert. */
function alert(event: Recorded<AlertEvent>, rows: Rows): void {
  const { id, revision: sequence, meta } = event
  const { at, orgId } = meta
  const webhook = alertWebhook(event, { orgId, sequence })
  const { type: eventType } = webhook
  const endpoints = rows.get(webhookEndpointTable, orgId)?.endpoints ?? []
  const times = { nextAttemptAt: at, createdAt: at, updatedAt: at }
  for (const { endpointId, url, events } of endpoints) {
    if (!events.includes(eventType)) continue
    const delivery = { deliveryId: `${id}.${endpointId}`, orgId, jobId: null, endpointId, url }
    const body = JSON.stringify(webhook)
    rows.put(webhookOutboxTable, { ...delivery, eventType, sequence, body, ...times })
  }
}

const accountHandlers: Handlers = {
  BalanceThresholdReached: alert,
  LimitThresholdReached: alert,
  WebhookEndpointRegistered: listenFromNowOn,
  WebhookEndpointEnabled: listenFromNowOn,
  WebhookEndpointRemoved: (event, rows) => listen(event, rows, without(event.data.endpointId)),
  WebhookEndpointDisabled: (event, rows) => listen(event, rows, without(event.data.endpointId)),
}
