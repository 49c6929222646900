import type { WebhookAnswer } from '../../domain/ports/webhook-transport.ts'
import { MemoryWebhookTransport } from '../../infra/memory/webhook-transport.ts'
import { webhookTransportContract, type ReceiverScript } from './webhook-transport.contract.ts'

function answerOf(script: ReceiverScript): WebhookAnswer | Promise<WebhookAnswer> {
  if (script.kind === 'is_gone') return { kind: 'failed', error: 'connect_failed' }
  if (script.kind === 'is_silent') return new Promise(() => undefined)
  const { httpStatus, retryAfter = null } = script
  return { kind: 'answered', httpStatus, retryAfter }
}

webhookTransportContract((script) => {
  let arrive: () => void = () => undefined
  const firstArrival = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const transport = new MemoryWebhookTransport(() => {
    arrive()
    return answerOf(script)
  })
  return Promise.resolve({
    transport,
    url: 'https://hooks.example.com/',
    arrived: () => transport.sent.map(({ delivery }) => delivery.deliveryId),
    firstArrival,
  })
})
