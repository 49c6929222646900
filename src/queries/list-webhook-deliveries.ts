import { isoTime } from '../../domain/ports/clock.ts'
import type { DeliveryQuery, DeliveryState } from '../../domain/ports/delivery-store.ts'
import { choiceParam, page, pageRequest } from '../http/paging.ts'
import type { Page, PageRequest, Query } from '../http/paging.ts'
import type { Runtime } from '../runtime.ts'

export type WebhookDeliveryView = {
  /** The `webhook-id` of every attempt. */
  readonly deliveryId: string
  readonly endpointId: string | null
  readonly jobId: string | null
  readonly url: string
  readonly type: string
  readonly sequence: number
  readonly status: DeliveryState['status']
  readonly attempts: number
  readonly nextAttemptAt: string | null
  readonly lastStatus: number | null
  readonly lastError: string | null
  readonly createdAt: string
}

export const deliveryStatuses = ['pending', 'delivered', 'parked'] as const

/** A delivery as its org sees it. */
export function webhookDeliveryView(delivery: DeliveryState): WebhookDeliveryView {
  const { deliveryId, endpointId, jobId, url, eventType, sequence, status } = delivery
  const { attempt, nextAttemptAtMs, lastStatus, lastError, createdAtMs } = delivery
  return {
    ...{ deliveryId, endpointId, jobId, url, type: eventType, sequence, status },
    attempts: attempt,
    nextAttemptAt: status === 'pending' ? isoTime(nextAttemptAtMs) : null,
    ...{ lastStatus, lastError, createdAt: isoTime(createdAtMs) },
  }
}

/** The deliveries of an org, newest first. */
export async function listWebhookDeliveries(
  { deliveries }: Pick<Runtime, 'deliveries'>,
  orgId: string,
  query: Query,
): Promise<Page<WebhookDeliveryView>> {
  const status = choiceParam(query, 'status', deliveryStatuses)
  const request = pageRequest(query, ['webhook-deliveries', orgId, status], ['number', 'text'])
  const { limit } = request
  const rows = await deliveries.list({ orgId, status, after: placeOf(request), limit: limit + 1 })
  return page(
    rows,
    request,
    ({ createdAtMs, deliveryId }) => [String(createdAtMs), deliveryId],
    webhookDeliveryView,
  )
}

function placeOf({ after }: PageRequest): DeliveryQuery['after'] {
  if (after === null) return null
  const [time = '', deliveryId = ''] = after
  return { createdAtMs: Number(time), deliveryId }
}
