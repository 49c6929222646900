import type { FastifyRequest } from 'fastify'
import { DomainError } from '../../domain/errors.ts'
import { unreachable } from '../../domain/unreachable.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import type { Span } from '../telemetry/telemetry.ts'
import type { Principal, Tenant } from './authenticator.ts'

/** What weir knows of a request beside HTTP. */
export type RequestContext = {
  readonly requestId: string
  /** W3C trace context: the caller's, or one that begins here. */
  readonly traceparent: string
  readonly startedAt: number
  /** Null unless traces are collected. */
  readonly span: Span | null
  principal: Principal | null
  /** Id of what this request makes; the same for every repetition of an Idempotency-Key. */
  subjectId: string
  /** For the canonical log line. */
  jobId: string | null
  /** The customer's user whose job it is; for the same line. */
  userId: string | null
  errorCode: string | null
}

declare module 'fastify' {
  interface FastifyRequest {
    weir: RequestContext
  }
}

/** The org that is calling. @throws DomainError `forbidden` for an operator */
export function tenantOf(request: FastifyRequest): Tenant {
  const { principal } = request.weir
  if (!principal || principal.kind === 'operator') {
    throw new DomainError('forbidden', 'This route belongs to an organisation; use its API key.')
  }
  return principal
}

/** Who acts, as events name it. */
export function actorOf(principal: Principal | null): string {
  if (!principal) return 'anonymous'
  switch (principal.kind) {
    case 'key':
      return `key:${principal.keyId}`
    case 'client':
      return `client:${principal.userId ?? 'page'}`
    case 'operator':
      return `admin:${principal.operatorId}`
    default:
      return unreachable(principal)
  }
}

/** The metadata of the command that this request issues on an org. */
export function commandContext(request: FastifyRequest, orgId: string): CommandContext {
  const { requestId, traceparent, subjectId, principal } = request.weir
  const actor = actorOf(principal)
  return { commandId: subjectId, orgId, actor, correlationId: requestId, traceparent }
}
