import { Inject, Injectable, SetMetadata } from '@nestjs/common'
import type { CanActivate, ExecutionContext } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import type { FastifyRequest } from 'fastify'
import type { Scope } from '../../domain/account/account-events.ts'
import { DomainError } from '../../domain/errors.ts'
import type { OperatorRole } from '../../domain/operators/operators.ts'
import { Authenticator, bearerToken } from './authenticator.ts'
import type { Principal } from './authenticator.ts'
import { requireSameOrigin, sessionOf } from './session-cookie.ts'

/** Who may call a route. */
export type Access =
  'public' | { readonly scope: Scope; readonly clients?: boolean } | { readonly role: OperatorRole }

const accessKey = 'weir:access'
const ranks: readonly OperatorRole[] = ['viewer', 'support', 'finance', 'owner']

/** Opens a route to everybody. */
export const Public = () => SetMetadata(accessKey, 'public' satisfies Access)

/** Opens a route to API keys with this scope. */
export const NeedsScope = (scope: Scope) => SetMetadata(accessKey, { scope } satisfies Access)

/** Opens a route also to client tokens; the route itself checks which jobs they may see. */
export const OpenToClients = (scope: Scope) =>
  SetMetadata(accessKey, { scope, clients: true } satisfies Access)

/** Opens a route to operators of at least this role. */
export const NeedsRole = (role: OperatorRole) => SetMetadata(accessKey, { role } satisfies Access)

/** Authenticates and checks what the route asks for; a route that asks for nothing is closed. */
@Injectable()
export class AccessGuard implements CanActivate {
  readonly #reflector: Reflector
  readonly #authenticator: Authenticator

  constructor(
    @Inject(Reflector) reflector: Reflector,
    @Inject(Authenticator) authenticator: Authenticator,
  ) {
    this.#reflector = reflector
    this.#authenticator = authenticator
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.#reflector.get<Access | undefined>(accessKey, context.getHandler())
    if (access === 'public') return true
    const request = context.switchToHttp().getRequest<FastifyRequest>()
    const principal = await this.#authenticate(request, access)
    request.weir.principal = principal
    if (!access || !mayCall(principal, access)) throw forbidden(principal)
    return true
  }

  /** Operators may come with a cookie instead of a token, and then from weir's own pages only. */
  async #authenticate(request: FastifyRequest, access: Access | undefined): Promise<Principal> {
    const { authorization } = request.headers
    const isForOperators = typeof access === 'object' && 'role' in access
    const session = isForOperators && authorization === undefined ? sessionOf(request) : null
    if (session === null) return this.#authenticator.authenticate(bearerToken(authorization))
    requireSameOrigin(request, this.#authenticator.publicUrl)
    return this.#authenticator.session(session)
  }
}

function mayCall(principal: Principal, access: Exclude<Access, 'public'>): boolean {
  if ('role' in access) {
    return (
      principal.kind === 'operator' && ranks.indexOf(principal.role) >= ranks.indexOf(access.role)
    )
  }
  if (principal.kind === 'operator') return false
  if (principal.scopes.includes(access.scope)) return true
  return principal.kind === 'client' && access.clients === true
}

function forbidden(principal: Principal): DomainError {
  const what = { key: 'API key', client: 'client token', operator: 'admin token' }[principal.kind]
  return new DomainError('forbidden', `This ${what} may not call this route.`)
}
