/**
 * A webhook receiver, whole: checks the signature over the bytes as they came, answers at once,
 * takes each event once and none out of order.
 *
 *   WEBHOOK_SECRET=whsec_… PORT=4000 node dist/examples/webhook-receiver.js
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'

const { WEBHOOK_SECRET: secret = '', PORT: port = '4000' } = process.env
const ageSecondsMax = 300

type Delivery = {
  readonly type: string
  readonly data: { readonly jobId: string; readonly status: string; readonly sequence: number }
}

/** Keep these in your database: the ids that you have seen, and how far you know each job. */
const seenIds = new Set<string>()
const sequences = new Map<string, number>()

/** Standard Webhooks: one signature per secret, so that a secret can be rotated. */
function isGenuine(request: IncomingMessage, body: string): boolean {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) =>
    String(request.headers[`webhook-${name}`]),
  )
  const ageSeconds = Math.abs(Date.now() / 1000 - Number(timestamp))
  if (!(ageSeconds <= ageSecondsMax)) return false
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const wanted = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest()
  return (signatures ?? '').split(' ').some((signature) => {
    const given = Buffer.from(signature.replace(/^v1,/, ''), 'base64')
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  })
}

function take(id: string, { type, data }: Delivery): void {
  if (seenIds.has(id)) return
  seenIds.add(id)
  if (data.sequence <= (sequences.get(data.jobId) ?? -1)) return
  sequences.set(data.jobId, data.sequence)
  console.log(`${type} ${data.jobId} is ${data.status}`)
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString('utf8')
    if (!isGenuine(request, body)) {
      response.writeHead(401).end()
      return
    }
    response.writeHead(204).end()
    // eslint-disable-next-line @typescript-eslint/consistent-type-assertions -- weir signed it
    take(String(request.headers['webhook-id']), JSON.parse(body) as Delivery)
  })
})
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address()
  const actual = typeof address === 'object' && address ? address.port : port
  console.log(`Listening on http://127.0.0.1:${actual}/`)
})
