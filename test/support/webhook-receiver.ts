import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { JobView } from '../../domain/job/job-view.ts'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly raw: Buffer
  readonly body: WebhookBody
}

export interface WebhookBody {
  readonly type: string
  readonly timestamp: string
  readonly data: {
    readonly jobId: string
    readonly type: string
    readonly status: JobView['status']
    readonly progress: number
    readonly resultUrl: string | null
    readonly error: JobView['error']
    readonly sequence: number
    readonly userId: string | null
    readonly metadata?: object
  }
}

export interface WebhookReceiver {
  readonly url: string
  readonly received: Received[]
  close(): Promise<void>
}

/** A customer's server. `answer` gives the status for the n-th request, counted from 1. */
export async function receiveWebhooks(
  answer: (request: Received, count: number) => number = () => 204,
): Promise<WebhookReceiver> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const raw = Buffer.concat(chunks)
      const body = JSON.parse(raw.toString('utf8')) as WebhookBody
      const one = { headers: request.headers, raw, body }
      received.push(one)
      response.writeHead(answer(one, received.length)).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/**
 * The signature as Standard Webhooks 1.0.0 defines it, computed here from the specification and
 * not with weir's own code.
 */
export function expectedSignature({ headers, raw }: Received, secret: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.`
  return `v1,${createHmac('sha256', key).update(signed).update(raw).digest('base64')}`
}
