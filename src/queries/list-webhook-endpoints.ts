import { accountStream } from '../../domain/account/account.ts'
import type { WebhookEndpoint } from '../../domain/account/webhook-endpoints.ts'
import { defaultWebhookEvents } from '../../domain/webhook/event-types.ts'
import { page, pageRequest } from '../http/paging.ts'
import type { Page, Query } from '../http/paging.ts'
import type { Runtime } from '../runtime.ts'

export type WebhookEndpointView = {
  readonly endpointId: string
  readonly url: string
  readonly events: readonly string[]
  readonly status: 'enabled' | 'disabled'
  readonly createdAt: string
  readonly disabledAt: string | null
}

/** An endpoint as its org sees it; its secrets are shown when they are made. */
export function webhookEndpointView(endpoint: WebhookEndpoint): WebhookEndpointView {
  const { endpointId, url, events, registeredAt, disabledAt } = endpoint
  return {
    ...{ endpointId, url, events: events ?? defaultWebhookEvents },
    status: disabledAt === null ? 'enabled' : 'disabled',
    ...{ createdAt: registeredAt, disabledAt },
  }
}

/** The endpoints of an org as they are now, newest first. */
export async function listWebhookEndpoints(
  { pipelines }: Pick<Runtime, 'pipelines'>,
  orgId: string,
  query: Query,
): Promise<Page<WebhookEndpointView>> {
  const request = pageRequest(query, ['webhook-endpoints', orgId], ['text'])
  const { state } = await pipelines.accounts.load(accountStream(orgId))
  const [after] = request.after ?? []
  // Ids are ordered by time, so a page goes on where it should when endpoints come and go.
  const newestFirst = state.endpoints.all.toSorted((a, b) => (a.endpointId < b.endpointId ? 1 : -1))
  const rows = newestFirst.filter(({ endpointId }) => after === undefined || endpointId < after)
  return page(rows, request, ({ endpointId }) => [endpointId], webhookEndpointView)
}
