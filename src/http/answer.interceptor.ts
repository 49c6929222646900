import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { Inject, Injectable } from '@nestjs/common'
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { firstValueFrom, from } from 'rxjs'
import type { Observable } from 'rxjs'
import { DomainError } from '../../domain/errors.ts'
import type { StoredAnswer } from '../../domain/ports/idempotency-store.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { Answer } from './answer.ts'
import { actorOf } from './request-context.ts'
import { seal, unseal } from './sealed.ts'

/** The first request with a key is taken for dead after this time, ms. */
const lockMs = 15_000
/** Longest `Prefer: wait`, which the lock must outlast, ms. */
const waitMsMax = 60_000

const readMethods = ['GET', 'HEAD']

const keyPattern = /^[\x20-\x7e]{1,255}$/

/**
 * Sends what a route returns, and makes a request with an Idempotency-Key happen once: the first
 * answer is kept and given again; a refusal is not kept.
 */
@Injectable()
export class AnswerInterceptor implements NestInterceptor {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp()
    const request = http.getRequest<FastifyRequest>()
    const reply = http.getResponse<FastifyReply>()
    return from(this.#answer(request, reply, () => firstValueFrom(next.handle())))
  }

  async #answer(
    request: FastifyRequest,
    reply: FastifyReply,
    handle: () => Promise<unknown>,
  ): Promise<string | Readable> {
    const key = request.headers['idempotency-key']
    // A key belongs to who sends it: a request of nobody, such as a sign-in, has none.
    const isCommand = !readMethods.includes(request.method) && request.weir.principal !== null
    if (key !== undefined && isCommand) {
      return this.#once(request, reply, handle, scopeOf(request, key))
    }
    const returned = await handle()
    if (!(returned instanceof Answer) || !(returned.body instanceof Readable)) {
      return send(reply, toStored(returned), headersOf(returned))
    }
    void reply.status(returned.status).headers({ ...returned.headers })
    if (request.method !== 'HEAD') return returned.body
    // Whoever asks for the headers alone reads nothing: a stream without an end would stay.
    returned.body.destroy()
    return Readable.from([])
  }

  async #once(
    request: FastifyRequest,
    reply: FastifyReply,
    handle: () => Promise<unknown>,
    scope: string,
  ): Promise<string> {
    const { idempotency, clock, secretKey } = this.#runtime
    const begun = await idempotency.begin({
      scope,
      bodySha256: fingerprint(request.body),
      subjectId: request.weir.subjectId,
      now: clock.now(),
      lockMs: request.headers['prefer'] ? lockMs + waitMsMax : lockMs,
    })
    switch (begun.kind) {
      case 'answered':
        return send(
          reply,
          { ...begun.answer, body: unseal(begun.answer.body, secretKey) },
          { 'idempotent-replayed': 'true' },
        )
      case 'in_flight':
        throw new DomainError('idempotency_in_flight', 'The first request is still in work.')
      case 'mismatch':
        throw new DomainError(
          'idempotency_mismatch',
          'This Idempotency-Key was used with another body; a new request needs a new key.',
        )
      case 'go':
        request.weir.subjectId = begun.subjectId
    }
    try {
      const returned = await handle()
      const answer = toStored(returned)
      if (returned instanceof Answer && !returned.isFinal) {
        return send(reply, answer, returned.headers)
      }
      // Answers may show a secret once; at rest nobody can read it.
      await idempotency.complete(scope, { ...answer, body: seal(answer.body, secretKey) })
      return send(reply, answer, headersOf(returned))
    } catch (error) {
      // What failed without a refusal may have happened: the key stays locked for a while, and a
      // repetition after that finds out.
      if (!mayHaveHappened(error)) await idempotency.abandon(scope, begun.lockedUntil)
      throw error
    }
  }
}

/** What was given up for good will never happen: the next request with the key starts afresh. */
function mayHaveHappened(error: unknown): boolean {
  if (!(error instanceof DomainError)) return true
  return error.code === 'unavailable' && error.extra['abandoned'] !== true
}

function toStored(returned: unknown): StoredAnswer {
  const answer = returned instanceof Answer ? returned : new Answer(200, returned)
  const body = answer.body === undefined ? '' : JSON.stringify(answer.body)
  return { status: answer.status, body, location: answer.headers['location'] ?? null }
}

function headersOf(returned: unknown): Readonly<Record<string, string>> {
  return returned instanceof Answer ? returned.headers : {}
}

function send(
  reply: FastifyReply,
  { status, body, location }: StoredAnswer,
  headers: Readonly<Record<string, string>>,
): string {
  void reply.status(status)
  if (body !== '') void reply.header('content-type', 'application/json; charset=utf-8')
  if (location !== null) void reply.header('location', location)
  for (const [name, value] of Object.entries(headers)) void reply.header(name, value)
  return body
}

function scopeOf(request: FastifyRequest, key: string | readonly string[]): string {
  if (typeof key !== 'string' || !keyPattern.test(key)) {
    throw new DomainError(
      'invalid_request',
      'An Idempotency-Key has 1 to 255 printable characters.',
    )
  }
  const { principal } = request.weir
  const whose = principal && 'orgId' in principal ? principal.orgId : actorOf(principal)
  return `${whose} ${request.method} ${pathOf(request)} ${key}`
}

/** The path as it is routed, however the client has written it. */
function pathOf({ routeOptions, params }: FastifyRequest): string {
  const valueOf = (name: string): string => String(Reflect.get(Object(params), name))
  return (routeOptions.url ?? '').replace(/:(\w+)/g, (_, name: string) => valueOf(name))
}

/** SHA-256 of the body as parsed JSON: the order of members does not matter. */
function fingerprint(body: unknown): string {
  return createHash('sha256').update(canonical(body)).digest('hex')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null)
    return value === undefined ? 'null' : JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  const texts = members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`)
  return `{${texts.join(',')}}`
}
