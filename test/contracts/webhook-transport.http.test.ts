import { afterEach, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { verifyWebhook } from '../../client/webhook.ts'
import { GuardedClient } from '../../infra/http/guarded-client.ts'
import { HttpWebhookTransport } from '../../infra/http/webhook-transport.ts'
import {
  deliveryTo,
  webhookTransportContract,
  type ReceiverScript,
} from './webhook-transport.contract.ts'

const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const olderSecret = `whsec_${Buffer.alloc(32, 2).toString('base64')}`
const client = new GuardedClient({ allowPrivate: true })
const secretsOf = () => Promise.resolve([secret, olderSecret])
const running = new AbortController().signal
const open: Server[] = []

afterEach(async () => {
  for (const server of open.splice(0)) await close(server)
})

async function close(server: Server) {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

type Arrived = { readonly headers: IncomingHttpHeaders; readonly body: string }

async function receiver(script: ReceiverScript, answerBody = '') {
  const arrivals: Arrived[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      arrivals.push({ headers: request.headers, body })
      server.emit('arrived')
      if (script.kind !== 'answers') return
      const { httpStatus, retryAfter } = script
      response.writeHead(httpStatus, retryAfter === undefined ? {} : { 'retry-after': retryAfter })
      response.end(answerBody)
    })
  })
  const firstArrival = once(server, 'arrived')
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  if (script.kind === 'is_gone') await close(server)
  else open.push(server)
  const url = `http://127.0.0.1:${address.port}/weir`
  return { transport: new HttpWebhookTransport(client, secretsOf), url, arrivals, firstArrival }
}

webhookTransportContract(async (script) => {
  const { arrivals, ...given } = await receiver(script)
  const arrived = () => arrivals.map(({ headers }) => String(headers['webhook-id']))
  return { ...given, arrived }
})

test('the receiver gets the body as it is, signed with every secret for its time', async () => {
  const { transport, url, arrivals } = await receiver({ kind: 'answers', httpStatus: 200 })
  const delivery = deliveryTo(url)
  await transport.send(delivery, 1_767_225_600_999, running)
  const arrived = arrivals[0]
  expect(arrived?.body).toBe(delivery.body)
  expect(arrived?.headers).toMatchObject({
    'content-type': 'application/json',
    'webhook-id': delivery.deliveryId,
    'webhook-timestamp': '1767225600',
  })
  const { headers = {}, body = '' } = arrived ?? {}
  const now = new Date(1_767_225_600_000)
  for (const known of [secret, olderSecret]) {
    expect(await verifyWebhook(body, headers, known, { now })).toEqual(JSON.parse(delivery.body))
  }
})

test('a receiver that takes the webhook and answers with a huge page has taken it', async () => {
  const script = { kind: 'answers', httpStatus: 200 } as const
  const { transport, url } = await receiver(script, 'x'.repeat(100_000))
  expect(await transport.send(deliveryTo(url), 0, running)).toMatchObject({ httpStatus: 200 })
})

test('a receiver that is busy may say so on a huge page', async () => {
  const script = { kind: 'answers', httpStatus: 503, retryAfter: '3600' } as const
  const { transport, url } = await receiver(script, 'x'.repeat(100_000))
  const { kind, httpStatus, retryAfter } = { ...script, kind: 'answered' }
  const answer = await transport.send(deliveryTo(url), 0, running)
  expect(answer).toEqual({ kind, httpStatus, retryAfter })
})

test('a forbidden address gets no byte, and the answer says so', async () => {
  const { url, arrivals } = await receiver({ kind: 'answers', httpStatus: 200 })
  const transport = new HttpWebhookTransport(new GuardedClient({ allowPrivate: false }), secretsOf)
  const secure = url.replace('http:', 'https:')
  expect(await transport.send(deliveryTo(secure), 0, running)).toEqual({
    kind: 'failed',
    error: 'forbidden_address',
  })
  expect(arrivals).toEqual([])
})

test('nothing is sent unsigned', async () => {
  const { url, arrivals } = await receiver({ kind: 'answers', httpStatus: 200 })
  const transport = new HttpWebhookTransport(client, () => Promise.resolve([]))
  await expect(transport.send(deliveryTo(url), 0, running)).rejects.toThrow('needs a secret')
  expect(arrivals).toEqual([])
})

test('nothing is sent to an endpoint that was removed', async () => {
  const { url, arrivals } = await receiver({ kind: 'answers', httpStatus: 200 })
  const transport = new HttpWebhookTransport(client, () => Promise.resolve(null))
  expect(await transport.send(deliveryTo(url), 0, running)).toEqual({
    kind: 'withdrawn',
    error: 'endpoint_removed',
  })
  expect(arrivals).toEqual([])
})
