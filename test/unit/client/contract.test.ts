import { expect, test } from '@jest/globals'
import type * as sdk from '../../../client/contract.ts'
import { publicEventTypes } from '../../../domain/catalog.ts'
import type { PublicEventType } from '../../../domain/catalog.ts'
import type { JobStatus } from '../../../domain/job/job.ts'
import { isFinished } from '../../../domain/job/job.ts'
import type { JobEventView, JobView } from '../../../domain/job/job-view.ts'
import type { AlertWebhook } from '../../../domain/webhook/alert-payload.ts'
import { webhookEventTypes } from '../../../domain/webhook/event-types.ts'
import type { WebhookEvent } from '../../../domain/webhook/payload.ts'
import { isFinished as isFinishedForUsers } from '../../../client/contract.ts'
import type { Balance } from '../../../src/queries/get-credits.ts'
import type { UsageView } from '../../../src/queries/list-usage.ts'
import { jobStatuses } from '../../../src/queries/list-jobs.ts'

// The SDK writes the contract down once more. What weir sends must be what it says: if it is not,
// this file stops compiling.

type WebhookType = sdk.WebhookEvent['type']
type Same<A, B> = [A, B] extends [B, A] ? true : never

const sent: {
  readonly job: (sent: JobView) => sdk.Job
  readonly event: (sent: JobEventView) => sdk.JobEvent
  readonly usage: (sent: UsageView) => sdk.Usage
  readonly balance: (sent: Balance) => sdk.Balance
  readonly webhook: (sent: WebhookEvent['data'] & { status: JobStatus }) => sdk.WebhookJob
  readonly alert: (sent: AlertWebhook) => sdk.AlertWebhook
  readonly statuses: Same<JobStatus, sdk.JobStatus>
  readonly eventTypes: Same<PublicEventType, sdk.JobEventType>
} = {
  job: (job) => job,
  event: (event) => event,
  usage: (usage) => usage,
  balance: (balance) => balance,
  webhook: (webhook) => webhook,
  alert: (alert) => alert,
  statuses: true,
  eventTypes: true,
}

test('the contract of the SDK is the one of weir', () => {
  expect(sent.statuses).toBe(true)
  for (const status of jobStatuses) {
    expect(isFinishedForUsers({ status })).toBe(isFinished(status))
  }
  const others = ['balance.low', 'limit.reached', 'topup.failed'] satisfies WebhookType[]
  expect(webhookEventTypes).toEqual([...Object.values(publicEventTypes), ...others])
})
