import { accountStream } from '../domain/account/account.ts'
import type { Pipelines } from '../domain/aggregates.ts'
import { isoTime } from '../domain/ports/clock.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { Ids } from '../domain/ports/ids.ts'

/** Stops what is new for an endpoint, because a delivery was answered with 410. */
export type DisableEndpoint = (answered: {
  readonly orgId: string
  readonly endpointId: string
  readonly deliveryId: string
}) => Promise<void>

export type EndpointDisablerOptions = {
  readonly pipelines: Pick<Pipelines, 'accounts'>
  readonly clock: Clock
  readonly ids: Ids
}

/** Disables endpoints in the account that they belong to. */
export function endpointDisabler({
  pipelines,
  clock,
  ids,
}: EndpointDisablerOptions): DisableEndpoint {
  return async ({ orgId, endpointId, deliveryId }) => {
    const at = isoTime(clock.now())
    const command = { type: 'DisableWebhookEndpoint' as const, endpointId, deliveryId, at }
    // The delivery may be sent again, and be answered so again, after the endpoint was enabled.
    const commandId = ids.derive('disable-endpoint', deliveryId, at)
    const context = { commandId, orgId, actor: 'system:webhook-sender', correlationId: deliveryId }
    const untraced = { ...context, traceparent: null }
    await pipelines.accounts.handle(accountStream(orgId), command, untraced)
  }
}
