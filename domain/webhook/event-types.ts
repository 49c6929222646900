import { publicEventTypes } from '../catalog.ts'
import type { PublicEventType } from '../catalog.ts'

/** What is told of the account and not of a job. */
const accountEventTypes = ['balance.low', 'limit.reached', 'topup.failed'] as const

/** Everything that a registered endpoint can ask for. */
export const webhookEventTypes: readonly string[] = [
  ...Object.values(publicEventTypes),
  ...accountEventTypes,
]

/** What a webhook gets when it does not say. */
export const defaultWebhookEvents: readonly PublicEventType[] = [
  'job.started',
  'job.succeeded',
  'job.failed',
  'job.canceled',
  'job.expired',
]

/** What `POST …/test` sends, and nothing else does. */
export const testEventType = 'webhook.test'
