import { once } from 'node:events'
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

/** What becomes of a request: `lost` is one whose answer never comes, though it was carried out. */
export type Fate =
  | 'passed'
  | 'cut'
  | 'lost'
  | 'damaged'
  | { readonly status: number; readonly body: string }
  /** Cut when half of its body has been sent; what happens then comes first. */
  | { readonly halfway: () => Promise<void> }

/** A network before an S3 server, which decides of every request. */
export interface S3Proxy {
  readonly endpoint: string
  /** What was asked, as `PUT /bucket/key?partNumber=2`, in order. */
  readonly seen: string[]
  fateOf: (asked: string) => Fate | Promise<Fate>
  close(): Promise<void>
}

/** The host in the signature is the proxy's, and is passed on: so signatures stay right. */
export async function startS3Proxy(target: string): Promise<S3Proxy> {
  const server = createServer((request, response) => {
    void handle(request, response).catch(() => response.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const proxy: S3Proxy = {
    endpoint: `http://127.0.0.1:${address.port}`,
    seen: [],
    fateOf: () => 'passed',
    close: async () => {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = `${request.method} ${request.url}`
    proxy.seen.push(asked)
    const body = await buffer(request)
    const fate = await proxy.fateOf(asked)
    if (fate === 'cut') throw new Error('cut')
    if (typeof fate === 'object') {
      if ('status' in fate) response.writeHead(fate.status).end(fate.body)
      else await passHalf(target, request, { body, ...fate })
      return
    }
    const answer = await passOn(target, request, fate === 'damaged' ? flipped(body) : body)
    if (fate === 'lost') {
      answer.destroy()
      throw new Error('lost')
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    answer.pipe(response)
  }
  return proxy
}

async function passOn(
  target: string,
  { method, url, headers }: IncomingMessage,
  body: Buffer,
): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const options = { method: method ?? 'GET', headers, agent: false }
    send(new URL(url ?? '/', target), options, resolve)
      .once('error', reject)
      .end(body)
  })
}

async function passHalf(
  target: string,
  { method, url, headers }: IncomingMessage,
  { body, halfway }: { body: Buffer; halfway: () => Promise<void> },
): Promise<never> {
  const options = { method: method ?? 'GET', headers, agent: false }
  const sent = send(new URL(url ?? '/', target), options)
  const failed = once(sent, 'error')
  const flushed = new Promise((resolve) => {
    sent.write(body.subarray(0, body.length / 2), resolve)
  })
  await Promise.race([flushed, failed])
  await halfway()
  sent.destroy()
  throw new Error('cut')
}

function flipped(body: Buffer): Buffer {
  const copy = Buffer.from(body)
  copy.writeUInt8(copy.readUInt8(0) ^ 1, 0)
  return copy
}
