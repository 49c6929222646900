import { HttpException } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { DomainError, errorTable } from '../../domain/errors.ts'
import type { ErrorCode } from '../../domain/errors.ts'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import { AppendTooBig } from '../../domain/ports/event-store.ts'
import { ObjectStoreUnavailable } from '../../domain/ports/object-store.ts'
import type { Log } from '../log.ts'
import { bodyBytesMax } from './json-body.ts'
import { refusalHeaders } from './rate-limit-headers.ts'

/** What Fastify and Nest say in their own words, as errors of weir. Anything else is `internal`. */
export function refusalOf(error: unknown): DomainError {
  if (error instanceof DomainError) return error
  if (error instanceof ObjectStoreUnavailable) {
    return new DomainError('unavailable', 'The object store does not answer.')
  }
  if (error instanceof EngineUnavailable) {
    return new DomainError('unavailable', 'The database does not answer.')
  }
  if (error instanceof AppendTooBig) {
    return new DomainError('too_large', 'That is more than the event store takes at once.')
  }
  const status = error instanceof HttpException ? error.getStatus() : statusOf(error)
  if (status === 415) {
    return new DomainError('unsupported_media_type', 'Send the body as application/json.')
  }
  if (status === 413) {
    return new DomainError('too_large', `A body has at most ${bodyBytesMax} bytes.`)
  }
  if (status === 404) return new DomainError('not_found', 'There is no such route.')
  if (status !== null && status >= 400 && status < 500) {
    return new DomainError('invalid_request', 'The request is not well-formed HTTP for weir.')
  }
  return new DomainError('internal', 'Something went wrong; the request id leads to the reason.')
}

/** The same, for whoever answers: what is ours, or weir's engines', is logged, and not told. */
export function loggedRefusalOf(
  error: unknown,
  { log, requestId }: { readonly log: Log; readonly requestId: string },
): DomainError {
  const refusal = refusalOf(error)
  const err = refusal.cause ?? error
  if (refusal.code === 'internal') log.error({ err, requestId }, 'request failed')
  else if (refusal.code === 'unavailable' && err !== refusal) {
    log.warn({ err, requestId }, 'what weir stands on does not answer')
  } else if (err instanceof AppendTooBig) {
    log.warn({ err, requestId }, 'the event store takes only smaller appends')
  }
  return refusal
}

/** The body of a refusal: RFC 9457. */
export function problemBody(refusal: DomainError, requestId: string) {
  const { status, title } = errorTable[refusal.code]
  return {
    type: `urn:weir:error:${refusal.code}`,
    title,
    status,
    detail: refusal.message,
    code: refusal.code,
    requestId,
    ...refusal.extra,
  }
}

const retryAfterSeconds: Partial<Record<ErrorCode, number>> = {
  idempotency_in_flight: 1,
  unavailable: 2,
}

/** Answers with a refusal. */
export function sendProblem(
  refusal: DomainError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { status } = errorTable[refusal.code]
  const context = request.weir
  context.errorCode = refusal.code
  const seconds = retryAfterSeconds[refusal.code]
  if (seconds !== undefined) void reply.header('retry-after', String(seconds))
  void reply.headers(refusalHeaders(refusal))
  if (refusal.code === 'unauthenticated') void reply.header('www-authenticate', 'Bearer')
  return reply
    .status(status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .send(JSON.stringify(problemBody(refusal, context.requestId)))
}

function statusOf(error: unknown): number | null {
  const has = typeof error === 'object' && error !== null && 'statusCode' in error
  return has && typeof error.statusCode === 'number' ? error.statusCode : null
}
