import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { GuardedRequestError, messageOf } from './guarded-request-error.ts'

const headerBytesMax = 16 * 1024

/** What the peer answered, whatever the status: redirects are answers and are not followed. */
export type GuardedAnswer = {
  readonly status: number
  /** Names in lower case; lists as Node joins them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** As sent: nothing is decompressed, and weir asks for nothing compressed. */
  readonly body: Buffer
}

type Exchange = {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
  readonly bytesMax: number
  readonly signal: AbortSignal
}

/** One request and its whole answer on a connected socket, which is not used again. */
export async function exchange(socket: Socket, wanted: Exchange): Promise<GuardedAnswer> {
  const { signal } = wanted
  const message = startRequest(socket, wanted)
  const onAbort = () => {
    message.destroy()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const response = nextResponse(message)
    message.end(wanted.body)
    return await readAnswer(await response, wanted.bytesMax)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
    message.destroy()
  }
}

/** Rejects when the connection fails or ends before a response; an upgrade is not one. */
function nextResponse(message: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    message.on('response', resolve)
    message.on('error', (error) => {
      reject(new GuardedRequestError('protocol_error', messageOf(error)))
    })
    message.on('close', () => {
      reject(new GuardedRequestError('protocol_error', 'The connection was closed early.'))
    })
  })
}

function startRequest(socket: Socket, { method, url, headers, body }: Exchange): ClientRequest {
  return httpRequest({
    // Given in place of an agent: no pool, no second look-up, no proxy.
    createConnection: () => socket,
    method,
    path: `${url.pathname}${url.search}`,
    headers: {
      ...headers,
      // The caller cannot replace these.
      host: url.host,
      connection: 'close',
      'accept-encoding': 'identity',
      ...(method === 'POST' ? { 'content-length': String(Buffer.byteLength(body)) } : {}),
    },
    maxHeaderSize: headerBytesMax,
    insecureHTTPParser: false,
  })
}

async function readAnswer(incoming: IncomingMessage, bytesMax: number): Promise<GuardedAnswer> {
  const status = incoming.statusCode ?? 0
  const retryAfter = incoming.headers['retry-after'] ?? null
  const tooLarge = () => {
    const message = `The answer is larger than ${bytesMax} bytes.`
    return new GuardedRequestError('too_large', message, status, retryAfter)
  }
  if (Number(incoming.headers['content-length'] ?? 0) > bytesMax) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > bytesMax) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof GuardedRequestError) throw error
    throw new GuardedRequestError('protocol_error', messageOf(error), status)
  }
  return { status, headers: incoming.headers, body: Buffer.concat(chunks, bytes) }
}
