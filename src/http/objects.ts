import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { DomainError } from '../../domain/errors.ts'
import type { Clock } from '../../domain/ports/clock.ts'
import {
  ObjectMissing,
  ObjectTooLarge,
  type PutOptions,
  type StoredObject,
} from '../../domain/ports/object-store.ts'
import { contentDisposition } from '../../domain/content-disposition.ts'
import type { ObjectPermit, PermitCheck } from '../../domain/upload/object-permit.ts'
import type { Log } from '../log.ts'
import { isKnown } from './entity-tag.ts'
import { loggedRefusalOf, sendProblem } from './problem.ts'

type GetPermit = Extract<ObjectPermit, { method: 'GET' }>
type PutPermit = Extract<ObjectPermit, { method: 'PUT' }>

/** The route whose bodies are never whole in memory. */
export const streamedRoute = '/v1/objects/*'

/** What the routes need of an object store whose signed URLs lead here. */
export type ServedObjectStore = {
  get(
    key: string,
    range?: { readonly start: number; readonly end: number },
  ): Promise<{ object: StoredObject; body: AsyncIterable<Uint8Array> }>
  head(key: string): Promise<StoredObject | null>
  putOnce(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<StoredObject | null>
  verify(request: { method: string; key: string; query: Record<string, unknown> }): PermitCheck
}

/** The store and the time by which its URLs expire. */
export type ObjectRouteOptions = {
  readonly store: ServedObjectStore
  readonly clock: Clock
  readonly log: Log
}

/** The body is shorter or longer than the upload URL permits. */
class WrongLength extends Error {
  override readonly name = 'WrongLength'
}

/**
 * `GET`, `HEAD` and `PUT /v1/objects/*` for signed URLs. The URL is the permission: no header is
 * looked at. Bodies stream in both directions and are never whole in memory. `request.weir` has to
 * be set by a hook of the instance.
 */
export function registerObjectRoutes(fastify: FastifyInstance, options: ObjectRouteOptions): void {
  // A scope of its own: here, unlike elsewhere, a body of any type goes to the handler unread.
  fastify.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    scope.setErrorHandler((error, request, reply) => {
      const { requestId } = request.weir
      return sendProblem(objectRefusal(error, { log: options.log, requestId }), request, reply)
    })
    scope.route<{ Params: { '*': string }; Querystring: Record<string, unknown> }>({
      method: ['GET', 'HEAD', 'PUT'],
      url: streamedRoute,
      handler: async (request, reply) => {
        const { method, params, query } = request
        const check = options.store.verify({ method, key: params['*'], query })
        if (!check.ok) throw new DomainError('forbidden', check.reason)
        if (check.permit.method === 'PUT') {
          return receive(options.store, check.permit, request, reply)
        }
        return send(options, check.permit, request, reply)
      },
    })
  })
}

function objectRefusal(error: unknown, about: Parameters<typeof loggedRefusalOf>[1]) {
  if (!(error instanceof ObjectMissing)) return loggedRefusalOf(error, about)
  return new DomainError('not_found', 'The object is not there (any more).')
}

async function send(
  { store, clock }: Pick<ObjectRouteOptions, 'store' | 'clock'>,
  permit: GetPermit,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const known = await store.head(permit.key)
  if (known === null) throw new ObjectMissing(permit.key)
  const etag = `"${known.sha256}"`
  const secondsLeft = Math.max(0, Math.floor((permit.expiresAt - clock.now()) / 1000))
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'cache-control': `private, max-age=${secondsLeft}, immutable`,
    'content-disposition': contentDisposition(permit.downloadName),
    // Customers choose what is stored: it must never run as a page of this origin.
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
  })
  if (isKnown(request.headers['if-none-match'], etag)) return reply.code(304).send()
  const range = rangeOf(request, known.bytes, etag)
  reply.header('content-type', known.contentType)
  if (range !== null) {
    reply.code(206)
    reply.header('content-range', `bytes ${range.start}-${range.end - 1}/${known.bytes}`)
  }
  reply.header('content-length', range === null ? known.bytes : range.end - range.start)
  if (request.method === 'HEAD') return reply.send()
  const { object, body } = await store.get(permit.key, range ?? undefined)
  if (object.sha256 !== known.sha256) throw new ObjectMissing(permit.key)
  return reply.send(Readable.from(body, { objectMode: false }))
}

async function receive(
  store: ServedObjectStore,
  permit: PutPermit,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const contentType = request.headers['content-type'] ?? ''
  if (contentType.toLowerCase() !== permit.contentType.toLowerCase()) {
    const detail = `This upload URL takes ${permit.contentType} and nothing else.`
    throw new DomainError('unsupported_media_type', detail)
  }
  const declared = request.headers['content-length']
  if (declared !== undefined) checkLength(Number(declared), permit.bytes)
  if ((await store.head(permit.key)) !== null) throw alreadyUsed()
  const stored = await put(store, permit, request)
  if (stored === null) throw alreadyUsed()
  const { bytes, sha256 } = stored
  return reply
    .code(201)
    .header('etag', `"${sha256}"`)
    .send({ contentType: stored.contentType, bytes, sha256 })
}

async function put(store: ServedObjectStore, permit: PutPermit, request: FastifyRequest) {
  const { key, contentType, bytes } = permit
  try {
    return await store.putOnce(key, exactly(bytes, request.raw), { contentType, bytesMax: bytes })
  } catch (error) {
    if (error instanceof ObjectTooLarge) throw tooLarge(bytes)
    if (error instanceof WrongLength || request.raw.readableAborted) throw tooShort(bytes)
    throw error
  }
}

/** Passes the body on, and fails at its end when it was short: nothing is stored then. */
async function* exactly(bytes: number, body: AsyncIterable<Uint8Array>) {
  let seen = 0
  for await (const chunk of body) {
    seen += chunk.byteLength
    yield chunk
  }
  if (seen < bytes) throw new WrongLength()
}

function checkLength(declared: number, bytes: number): void {
  if (declared > bytes) throw tooLarge(bytes)
  if (declared !== bytes) throw tooShort(bytes)
}

function tooLarge(bytes: number): DomainError {
  return new DomainError('too_large', `This upload URL takes exactly ${bytes} bytes, not more.`)
}

function tooShort(bytes: number): DomainError {
  const detail = `This upload URL takes exactly ${bytes} bytes, not fewer.`
  return new DomainError('invalid_request', detail, { errors: [] })
}

function alreadyUsed(): DomainError {
  return new DomainError('conflict', 'This upload URL was used already; ask for another one.')
}

/** One satisfiable range, or null for the whole object, which RFC 9110 always allows. */
function rangeOf(request: FastifyRequest, bytes: number, etag: string) {
  const condition = request.headers['if-range']
  if (condition !== undefined && condition !== etag) return null
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(request.headers.range ?? '')
  if (match === null) return null
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return null
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1)
  return start < end ? { start, end } : null
}
