import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { DomainError, errorTable } from '../../domain/errors.ts'
import type { ErrorCode } from '../../domain/errors.ts'
import { uploadUrlMs } from '../../domain/upload/upload-key.ts'
import type { Runtime } from '../runtime.ts'
import { bodyBytesMax } from './json-body.ts'
import { streamedRoute } from './objects.ts'
import { problemBody } from './problem.ts'

// What a client may make the api wait for, or keep in memory, before it is known who it is.

/** From the first moment of a connection, or of the next request on it, to its last header, ms. */
const headersMs = 10_000
/** From the headers of a request to the end of its body, unless that is streamed, ms. */
const bodyMs = 20_000
/** From its first byte to its last, ms: an upload may take as long as its URL is good. */
const requestMs = uploadUrlMs
/** How often connections are looked at for the two limits that Node keeps, ms. */
const lookEveryMs = 1_000
/** Headers of one request together, bytes. */
const headerBytesMax = 16_384
/** Connections of one process; one more is closed at once. */
const connectionsMax = 16_000
/** Bodies up to this size are always taken, bytes. */
const smallBodyBytes = 65_536
/**
 * Larger bodies that are on their way in or in work, together, bytes. Parsed they are several times
 * as large: four of the largest ones make the process grow by some 300 MB.
 */
const largeBodiesBytesMax = 4 * bodyBytesMax

/** Options of the server that keep slow and greedy connections within limits. */
export const intakeOptions = {
  bodyLimit: bodyBytesMax,
  requestTimeout: requestMs,
  clientErrorHandler: answerBroken,
  http: {
    headersTimeout: headersMs,
    connectionsCheckingInterval: lookEveryMs,
    maxHeaderSize: headerBytesMax,
    // Node would refuse a request without one in no words; server.ts does it as anything else.
    requireHostHeader: false,
  },
}

/** Fastify leaves a body that comes with one of them where it is. */
const bodylessMethods = ['GET', 'HEAD', 'TRACE']

/** A reason of our own: without one, each abort would make an error with its stack. */
const arrived = 'arrived'

/** Finds out who sends a request. @throws DomainError `unauthenticated` */
export type Identify = (request: FastifyRequest) => Promise<unknown>

/** How to give back the room of requests whose bodies are large. */
const rooms = new WeakMap<FastifyRequest, () => void>()

/** For a request that waits and whose body nobody needs any more: leaves its room to others. */
export function letGoOfBody(request: FastifyRequest): void {
  request.body = undefined
  rooms.get(request)?.()
}

/**
 * Limits connections, and the bodies that are in memory or on their way there. A large one is only
 * taken from somebody who is known.
 */
export function limitIntake(
  instance: FastifyInstance,
  { clock }: Pick<Runtime, 'clock'>,
  identify: Identify,
): void {
  instance.server.maxConnections = connectionsMax
  const large = new LargeBodies()
  instance.addHook('preParsing', async (request, reply, payload) => {
    if (!isParsed(request) || request.routeOptions.url === streamedRoute) return payload
    const bytes = announcedBytes(request)
    const admit = async (): Promise<void> => {
      await identify(request)
      // Nothing closes a second time: what is taken for who has gone would never be given back.
      if (reply.raw.closed) throw new DomainError('invalid_request', 'The sender has gone.')
      const giveBack = large.take(bytes)
      rooms.set(request, giveBack)
      reply.raw.once('close', giveBack)
    }
    const isAnnounced = request.headers['content-length'] !== undefined
    if (isAnnounced && bytes > smallBodyBytes) await admit()
    const whole = new AbortController()
    const end = (): void => whole.abort(arrived)
    payload.once('end', end)
    reply.raw.once('close', end)
    void clock.sleep(bodyMs, whole.signal).then(() => {
      // The parser still waits; whoever sends this slowly is told why, and cut off.
      if (!whole.signal.aborted) answerLate(request.raw.socket)
    })
    // What is refused is still to be answered: its connection is not torn down.
    const chunks = (): AsyncIterable<Buffer> => payload.iterator({ destroyOnReturn: false })
    return isAnnounced ? payload : Readable.from(small(chunks(), admit), { objectMode: false })
  })
}

/** Passes on a body of unknown length, and asks before it becomes a large one. */
async function* small(chunks: AsyncIterable<Buffer>, admit: () => Promise<void>) {
  let bytes = 0
  for await (const chunk of chunks) {
    const wasSmall = bytes <= smallBodyBytes
    bytes += chunk.length
    if (wasSmall && bytes > smallBodyBytes) await admit()
    yield chunk
  }
}

/** Counts the bytes of large bodies. */
class LargeBodies {
  #bytes = 0

  /**
   * Returns how to give them back, which counts once.
   *
   * @throws DomainError `unavailable` when there are too many
   */
  take(bytes: number): () => void {
    if (this.#bytes + bytes > largeBodiesBytesMax) {
      throw new DomainError('unavailable', 'Many large requests are in work right now.')
    }
    this.#bytes += bytes
    let held = bytes
    return () => {
      this.#bytes -= held
      held = 0
    }
  }
}

/** Whether there is a body that somebody looks at: of the methods that have none, nobody does. */
function isParsed({ method, headers }: FastifyRequest): boolean {
  if (bodylessMethods.includes(method)) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** Of a body in chunks nobody knows how large it becomes: as large as one may be. */
function announcedBytes({ headers }: FastifyRequest): number {
  const length = headers['content-length']
  return length === undefined ? bodyBytesMax : Math.min(Number(length), bodyBytesMax)
}

function answerLate(socket: Socket): void {
  endWith(socket, 408, 'invalid_request', `The body must be here within ${bodyMs / 1_000} s.`)
}

/** Answers what is no request: nothing of weir has seen it, and its connection is of no use. */
function answerBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    const detail = `The headers together have at most ${headerBytesMax} bytes.`
    return endWith(socket, 431, 'too_large', detail)
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const [headers, whole] = [headersMs / 1_000, requestMs / 1_000]
    const detail = `Headers must be here within ${headers} s, a whole request within ${whole} s.`
    return endWith(socket, 408, 'invalid_request', detail)
  }
  return endWith(socket, 400, 'invalid_request', 'The request is not well-formed HTTP.')
}

function endWith(socket: Socket, status: number, code: ErrorCode, detail: string): void {
  const { title } = errorTable[code]
  const described = problemBody(new DomainError(code, detail), '')
  const { requestId: _, ...problem } = { ...described, title, status }
  const body = JSON.stringify(problem)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
