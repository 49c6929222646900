import { expect, test } from '@jest/globals'
import type { ClaimedDelivery } from '../../domain/ports/delivery-store.ts'
import type { WebhookAnswer, WebhookTransport } from '../../domain/ports/webhook-transport.ts'

/** What a receiver does when a webhook arrives. */
export type ReceiverScript =
  | { readonly kind: 'answers'; readonly httpStatus: number; readonly retryAfter?: string }
  /** Nobody listens there. */
  | { readonly kind: 'is_gone' }
  /** Takes the webhook and never answers. */
  | { readonly kind: 'is_silent' }

/** A transport and a receiver that follows the script. */
export type TransportHarness = (script: ReceiverScript) => Promise<{
  readonly transport: WebhookTransport
  readonly url: string
  /** The ids that arrived. */
  readonly arrived: () => readonly string[]
  /** Resolves when the first one has arrived. */
  readonly firstArrival: Promise<unknown>
}>

const sentAtMs = Date.UTC(2026, 0, 1)

export const deliveryTo = (url: string): ClaimedDelivery => ({
  deliveryId: '0198c0de-0000-7000-8000-000000000001',
  orgId: 'org-1',
  jobId: 'job-1',
  endpointId: null,
  url,
  eventType: 'job.succeeded',
  sequence: 3,
  body: '{"type":"job.succeeded","text":"grüße"}',
  attempt: 0,
  host: 'hooks.example.com',
  lockedUntilMs: sentAtMs + 60_000,
})

/** What every transport of webhooks promises. */
export function webhookTransportContract(given: TransportHarness): void {
  const running = new AbortController().signal

  test.each([200, 204, 302, 410, 500])('hands on the status %i', async (httpStatus) => {
    const { transport, url, arrived } = await given({ kind: 'answers', httpStatus })
    const delivery = deliveryTo(url)
    const answer: WebhookAnswer = { kind: 'answered', httpStatus, retryAfter: null }
    expect(await transport.send(delivery, sentAtMs, running)).toEqual(answer)
    expect(arrived()).toEqual([delivery.deliveryId])
  })

  test('hands on Retry-After as it came', async () => {
    const script = { kind: 'answers', httpStatus: 429, retryAfter: '120' } as const
    const { transport, url } = await given(script)
    expect(await transport.send(deliveryTo(url), sentAtMs, running)).toEqual({
      kind: 'answered',
      httpStatus: 429,
      retryAfter: '120',
    })
  })

  test('a receiver that is gone is an answer, not an error', async () => {
    const { transport, url } = await given({ kind: 'is_gone' })
    expect(await transport.send(deliveryTo(url), sentAtMs, running)).toEqual({
      kind: 'failed',
      error: 'connect_failed',
    })
  })

  test('ends with the reason of a caller that gives up', async () => {
    const { transport, url, firstArrival } = await given({ kind: 'is_silent' })
    const stopping = new AbortController()
    const sending = transport.send(deliveryTo(url), sentAtMs, stopping.signal)
    const ended = expect(sending).rejects.toThrow('stopping')
    await firstArrival
    stopping.abort(new Error('stopping'))
    await ended
  })

  test('sends nothing for a caller that has given up', async () => {
    const { transport, url, arrived } = await given({ kind: 'answers', httpStatus: 200 })
    const signal = AbortSignal.abort(new Error('stopped'))
    await expect(transport.send(deliveryTo(url), sentAtMs, signal)).rejects.toThrow('stopped')
    expect(arrived()).toEqual([])
  })
}
