import type { ClaimedDelivery } from './delivery-store.ts'

/** What became of one attempt to send. */
export type WebhookAnswer =
  | {
      readonly kind: 'answered'
      readonly httpStatus: number
      /** The header `Retry-After` as it came. */
      readonly retryAfter: string | null
    }
  /** No answer: `error` is a short code from a closed set. */
  | { readonly kind: 'failed'; readonly error: string }
  /** Nothing was sent, and nothing ever will be: its endpoint was removed meanwhile. */
  | { readonly kind: 'withdrawn'; readonly error: string }

/** A delivery on its way. */
export type OutgoingDelivery = ClaimedDelivery & {
  /** W3C trace context for the receiver, when the delivery is traced. */
  readonly traceparent?: string
}

/** One attempt to send a webhook: signs it for its time and posts it. */
export abstract class WebhookTransport {
  /**
   * Resolves also when the receiver cannot be reached; that is an answer here.
   *
   * @param sentAtMs the time that is signed, ms since the epoch
   * @throws the signal's reason when the caller gives up
   */
  abstract send(
    delivery: OutgoingDelivery,
    sentAtMs: number,
    signal: AbortSignal,
  ): Promise<WebhookAnswer>
}
