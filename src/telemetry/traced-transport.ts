import { WebhookTransport } from '../../domain/ports/webhook-transport.ts'
import type { OutgoingDelivery, WebhookAnswer } from '../../domain/ports/webhook-transport.ts'
import type { StartSpan } from './telemetry.ts'
import type { TraceparentOf } from './traced-job-types.ts'

/** Shows each attempt to deliver in the trace of its job, and tells the receiver of the trace. */
export class TracedTransport extends WebhookTransport {
  readonly #transport: WebhookTransport
  readonly #startSpan: StartSpan
  readonly #traceparentOf: TraceparentOf

  constructor(transport: WebhookTransport, startSpan: StartSpan, traceparentOf: TraceparentOf) {
    super()
    this.#transport = transport
    this.#startSpan = startSpan
    this.#traceparentOf = traceparentOf
  }

  override async send(
    delivery: OutgoingDelivery,
    sentAtMs: number,
    signal: AbortSignal,
  ): Promise<WebhookAnswer> {
    const { deliveryId, jobId, eventType, attempt } = delivery
    const parent = jobId === null ? null : await this.#traceparentOf(jobId).catch(() => null)
    const span = this.#startSpan('deliver webhook', {
      kind: 'client',
      traceparent: parent,
      attributes: {
        'weir.delivery.id': deliveryId,
        'weir.event.type': eventType,
        'weir.delivery.attempt': attempt + 1,
        ...(jobId === null ? {} : { 'weir.job.id': jobId }),
      },
    })
    const { traceparent } = span
    try {
      const answer = await this.#transport.send({ ...delivery, traceparent }, sentAtMs, signal)
      const isTaken = answer.kind === 'answered' && answer.httpStatus < 300
      span.end(isTaken ? null : errorOf(answer))
      return answer
    } catch (error) {
      span.end(error instanceof Error ? error.name : 'unknown')
      throw error
    }
  }
}

function errorOf(answer: WebhookAnswer): string {
  return answer.kind === 'answered' ? String(answer.httpStatus) : answer.error
}
