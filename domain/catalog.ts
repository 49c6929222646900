import type { AccountEvent } from './account/account-events.ts'
import type { RecordedEvent } from './envelope.ts'
import type { JobEvent } from './job/job-events.ts'
import type { OperatorsEvent } from './operators/operators.ts'
import type { PriceBookEvent } from './pricing/price-book.ts'

/** Every event of weir. A new one stands here first; the compiler then names what must know it. */
export type WeirEvent = JobEvent | AccountEvent | PriceBookEvent | OperatorsEvent

export type EventType = WeirEvent['type']
type Category = 'job' | 'account' | 'price-book' | 'operators'

/** Which kind of stream holds which event. */
export const catalog: { readonly [Type in EventType]: Category } = {
  JobSubmitted: 'job',
  JobStarted: 'job',
  JobStepCompleted: 'job',
  JobRetryScheduled: 'job',
  JobCancelRequested: 'job',
  JobSucceeded: 'job',
  JobFailed: 'job',
  JobCanceled: 'job',
  JobExpired: 'job',
  JobRequeued: 'job',
  SubmissionAbandoned: 'job',
  AccountOpened: 'account',
  ApiKeyIssued: 'account',
  ApiKeyRevoked: 'account',
  CreditsGranted: 'account',
  CreditsRevoked: 'account',
  CreditsExpired: 'account',
  CreditsHeld: 'account',
  UsageRecorded: 'account',
  HoldSettled: 'account',
  WebhookEndpointRegistered: 'account',
  WebhookEndpointRemoved: 'account',
  WebhookSecretRotated: 'account',
  WebhookEndpointDisabled: 'account',
  WebhookEndpointEnabled: 'account',
  LimitsSet: 'account',
  AccountThrottled: 'account',
  AccountBanned: 'account',
  AccountReinstated: 'account',
  BalanceThresholdReached: 'account',
  LimitThresholdReached: 'account',
  PricePublished: 'price-book',
  OperatorRegistered: 'operators',
  OperatorPasswordSet: 'operators',
  OperatorSignedIn: 'operators',
  OperatorSignedOut: 'operators',
}

type Unknown = { readonly type: string; readonly data: object }

/** An event whose type this version of weir knows. Its shape was checked when it was written. */
export function isKnownEvent(event: Unknown): event is WeirEvent {
  return Object.hasOwn(catalog, event.type)
}

export function isJobEvent(event: Unknown): event is JobEvent {
  return isKnownEvent(event) && catalog[event.type] === 'job'
}

export function isAccountEvent(event: Unknown): event is AccountEvent {
  return isKnownEvent(event) && catalog[event.type] === 'account'
}

export function isPriceBookEvent(event: Unknown): event is PriceBookEvent {
  return isKnownEvent(event) && catalog[event.type] === 'price-book'
}

export function isOperatorsEvent(event: Unknown): event is OperatorsEvent {
  return isKnownEvent(event) && catalog[event.type] === 'operators'
}

/** A recorded event of a known type, typed by it. */
export type Recorded<Event extends WeirEvent = WeirEvent> = RecordedEvent & Event

/** What customers are told of a job's events. The names are a contract. */
export const publicEventTypes = {
  JobSubmitted: 'job.queued',
  JobStarted: 'job.started',
  JobStepCompleted: 'job.step_completed',
  JobRetryScheduled: 'job.retry_scheduled',
  JobCancelRequested: 'job.cancel_requested',
  JobSucceeded: 'job.succeeded',
  JobFailed: 'job.failed',
  JobCanceled: 'job.canceled',
  JobExpired: 'job.expired',
  JobRequeued: 'job.requeued',
} as const satisfies Partial<Record<JobEvent['type'], string>>

export type PublicEventType = (typeof publicEventTypes)[keyof typeof publicEventTypes]
