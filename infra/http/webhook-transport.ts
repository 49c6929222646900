import type { ClaimedDelivery } from '../../domain/ports/delivery-store.ts'
import {
  WebhookTransport,
  type OutgoingDelivery,
  type WebhookAnswer,
} from '../../domain/ports/webhook-transport.ts'
import type { GuardedClient } from './guarded-client.ts'
import { GuardedRequestError } from './guarded-request-error.ts'
import { signWebhook } from './webhook-signature.ts'

/** The secrets to sign with, newest first, several during a rotation; null: send no more. */
export type WebhookSecretsOf = (
  delivery: Pick<ClaimedDelivery, 'orgId' | 'endpointId'>,
) => Promise<readonly string[] | null>

/** Sends webhooks through the guarded client, signed as Standard Webhooks 1.0.0 says. */
export class HttpWebhookTransport extends WebhookTransport {
  readonly #client: GuardedClient
  readonly #secretsOf: WebhookSecretsOf

  constructor(client: GuardedClient, secretsOf: WebhookSecretsOf) {
    super()
    this.#client = client
    this.#secretsOf = secretsOf
  }

  override async send(
    delivery: OutgoingDelivery,
    sentAtMs: number,
    signal: AbortSignal,
  ): Promise<WebhookAnswer> {
    const { deliveryId: id, url, body, traceparent } = delivery
    const timestampSeconds = Math.floor(sentAtMs / 1_000)
    const secrets = await this.#secretsOf(delivery)
    if (secrets === null) return { kind: 'withdrawn', error: 'endpoint_removed' }
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'weir-webhooks/1',
      'webhook-id': id,
      'webhook-timestamp': String(timestampSeconds),
      'webhook-signature': signWebhook({ id, timestampSeconds, body, secrets }),
      ...(traceparent === undefined ? {} : { traceparent }),
    }
    try {
      const answer = await this.#client.request({ method: 'POST', url, headers, body, signal })
      const retryAfter = answer.headers['retry-after']
      return {
        kind: 'answered',
        httpStatus: answer.status,
        retryAfter: typeof retryAfter === 'string' ? retryAfter : null,
      }
    } catch (error) {
      if (error instanceof GuardedRequestError) return failed(error)
      throw error
    }
  }
}

/**
 * A receiver that answers 2xx with a page of more than 64 KB has taken the webhook; sending it
 * again for three days would only repeat it.
 */
function failed({ code, status, retryAfter }: GuardedRequestError): WebhookAnswer {
  if (code === 'too_large' && status !== null) {
    return { kind: 'answered', httpStatus: status, retryAfter }
  }
  return { kind: 'failed', error: code }
}
