/**
 * A webhook receiver, whole: checks the signature over the bytes as they came, answers at once,
 * takes each event once and none out of order.
 *
 *   WEBHOOK_SECRET=whsec_… PORT=4000 node dist/examples/webhook-receiver.js
 *
 * In a program of yours: import { verifyWebhook } from 'weir-client/webhook'
 */
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { isJobWebhook, verifyWebhook, WebhookError } from '../client/webhook.ts'
import type { WebhookEvent } from '../client/webhook.ts'

const { WEBHOOK_SECRET: secret = '', PORT: port = '4000' } = process.env

/** Keep these in your database: the ids that you have seen, and how far you know each job. */
const seenIds = new Set<string>()
const sequences = new Map<string, number>()

function take(id: string, event: WebhookEvent): void {
  if (seenIds.has(id)) return
  seenIds.add(id)
  if (!isJobWebhook(event)) return
  const { jobId, sequence, status } = event.data
  if (sequence <= (sequences.get(jobId) ?? -1)) return
  sequences.set(jobId, sequence)
  console.log(`${event.type} ${jobId} is ${status}`)
}

/** The status to answer with. */
async function receive(request: IncomingMessage): Promise<number> {
  try {
    const event = await verifyWebhook(await buffer(request), request.headers, secret)
    take(String(request.headers['webhook-id']), event)
    return 204
  } catch (error) {
    if (error instanceof WebhookError) return 401
    throw error
  }
}

const server = createServer((request, response) => {
  receive(request).then(
    (status) => response.writeHead(status).end(),
    (error: unknown) => {
      console.error(error)
      response.writeHead(500).end()
    },
  )
})
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address()
  const actual = typeof address === 'object' && address ? address.port : port
  console.log(`Listening on http://127.0.0.1:${actual}/`)
})
