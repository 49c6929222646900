import type { ClaimedDelivery } from '../../domain/ports/delivery-store.ts'
import { WebhookTransport, type WebhookAnswer } from '../../domain/ports/webhook-transport.ts'

/** One attempt as the receiver would have seen it. */
export type SentWebhook = { readonly delivery: ClaimedDelivery; readonly sentAtMs: number }

/** Receivers in memory: remembers what was sent and answers as the given function says. */
export class MemoryWebhookTransport extends WebhookTransport {
  readonly sent: SentWebhook[] = []
  readonly #answer: (sent: SentWebhook) => WebhookAnswer | Promise<WebhookAnswer>

  constructor(answer: (sent: SentWebhook) => WebhookAnswer | Promise<WebhookAnswer>) {
    super()
    this.#answer = answer
  }

  override async send(
    delivery: ClaimedDelivery,
    sentAtMs: number,
    signal: AbortSignal,
  ): Promise<WebhookAnswer> {
    signal.throwIfAborted()
    const sent = { delivery, sentAtMs }
    this.sent.push(sent)
    const givenUp = new Promise<null>((resolve) => {
      signal.addEventListener('abort', () => resolve(null), { once: true })
    })
    const answer = await Promise.race([this.#answer(sent), givenUp])
    if (answer !== null) return answer
    throw signal.reason
  }
}
