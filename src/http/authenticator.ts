import type { Scope } from '../../domain/account/account-events.ts'
import { accountStream } from '../../domain/account/account.ts'
import { DomainError } from '../../domain/errors.ts'
import { operatorsStream, sessionAt } from '../../domain/operators/operators.ts'
import type { OperatorRole, OperatorSession } from '../../domain/operators/operators.ts'
import { isoTime, isRecent } from '../../domain/ports/clock.ts'
import type { AuthFailure } from '../metrics/api.ts'
import type { Runtime } from '../runtime.ts'
import { isSecret, parseAdminToken, parseApiKey, parseSessionToken } from './credentials.ts'
import { readClientToken } from './credentials.ts'

/** Who is calling. */
export type Principal =
  | {
      readonly kind: 'key'
      readonly orgId: string
      readonly keyId: string
      readonly scopes: readonly Scope[]
    }
  | {
      readonly kind: 'client'
      readonly orgId: string
      readonly userId: string | null
      readonly channels: readonly string[] | null
      readonly scopes: readonly Scope[]
      readonly expiresAt: number
    }
  | {
      readonly kind: 'operator'
      readonly operatorId: string
      readonly role: OperatorRole
      /** Null for who comes with a token. */
      readonly session: OperatorSession | null
    }

/** An operator. */
type SignedIn = Extract<Principal, { kind: 'operator' }>

/** A principal that belongs to an org. */
export type Tenant = Extract<Principal, { orgId: string }>

/**
 * A key that was checked is trusted for this long without another look, ms. A signal ends it
 * earlier; it may be lost, so whoever revokes a key answers when nobody can trust it any more.
 */
export const trustedMs = 500
const trustedMax = 10_000

type Trusted = { readonly principal: Principal; readonly since: number }

/** Finds out who holds a token. */
export class Authenticator {
  readonly #runtime: Runtime
  readonly #trusted = new Map<string, Trusted>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** Where this installation is reached. */
  get publicUrl(): string {
    return this.#runtime.config.publicUrl
  }

  /** Hears what other processes change. Returns how to stop. */
  async listen(): Promise<() => Promise<void>> {
    return this.#runtime.signals.subscribe('access_changed', ({ keyId }) => {
      if (typeof keyId === 'string') this.forget(keyId)
    })
  }

  forget(keyId: string): void {
    for (const [token, { principal }] of this.#trusted) {
      if (principal.kind === 'key' && principal.keyId === keyId) this.#trusted.delete(token)
    }
  }

  /** @throws DomainError `unauthenticated` */
  async authenticate(token: string | null): Promise<Principal> {
    if (token === null)
      throw this.#refuse('missing', 'Send an API key as `Authorization: Bearer …`.')
    if (token.startsWith('weir_client_')) return this.#client(token)
    const now = this.#runtime.clock.now()
    const trusted = this.#trusted.get(token)
    if (trusted && isRecent(trusted.since, now, trustedMs)) return trusted.principal
    const admin = parseAdminToken(token)
    if (admin) return this.#operator(admin)
    const key = parseApiKey(token)
    if (!key) throw this.#refuse('malformed', 'This is not an API key of weir; is it whole?')
    const { state } = await this.#runtime.pipelines.accounts.load(accountStream(key.orgId))
    const issued = state.keys.find(({ keyId }) => keyId === key.keyId)
    if (!issued || !isSecret(key.secret, issued.secretSha256)) {
      throw this.#refuse('unknown', 'This API key is unknown or was revoked.')
    }
    const { orgId, keyId } = key
    const principal = { kind: 'key' as const, orgId, keyId, scopes: issued.scopes }
    if (this.#trusted.size >= trustedMax) this.#trusted.clear()
    this.#trusted.set(token, { principal, since: now })
    return principal
  }

  /** Whether a token that was good is so no longer: revoked, or at its end. */
  async isOver(token: string | null): Promise<boolean> {
    try {
      await this.authenticate(token)
      return false
    } catch (error) {
      return error instanceof DomainError && error.code === 'unauthenticated'
    }
  }

  /** An operator by the session in its browser's cookie. @throws DomainError `unauthenticated` */
  async session(token: string): Promise<Principal> {
    const found = await this.findSession(token)
    if (!found) throw this.#refuse('expired', 'This session is over; sign in again.')
    return found
  }

  /** Null when the session is over, or never was. */
  async findSession(token: string): Promise<SignedIn | null> {
    const parts = parseSessionToken(token)
    if (!parts) return null
    const { pipelines, clock } = this.#runtime
    const { state } = await pipelines.operators.load(operatorsStream)
    const found = sessionAt(state, parts.sessionId, isoTime(clock.now()))
    if (!found || !isSecret(parts.secret, found.session.secretSha256)) return null
    const { operatorId, role } = found.operator
    return { kind: 'operator', operatorId, role, session: found.session }
  }

  #client(token: string): Principal {
    const claims = readClientToken(token, this.#runtime.secretKey)
    if (!claims) throw this.#refuse('invalid', 'This client token is not valid.')
    if (claims.expiresAt <= this.#runtime.clock.now()) {
      throw this.#refuse('expired', 'This client token has expired.')
    }
    return { kind: 'client', ...claims }
  }

  async #operator({ operatorId, secret }: { operatorId: string; secret: string }) {
    const { state } = await this.#runtime.pipelines.operators.load(operatorsStream)
    const operator = state.operators.find((known) => known.operatorId === operatorId)
    if (!operator || !isSecret(secret, operator.tokenSha256)) {
      throw this.#refuse('unknown', 'This admin token is not known.')
    }
    return { kind: 'operator' as const, operatorId, role: operator.role, session: null }
  }

  #refuse(reason: AuthFailure, detail: string): DomainError {
    this.#runtime.metrics.authFailed(reason)
    return new DomainError('unauthenticated', detail)
  }
}

/** The token of an Authorization header; null when there is none. */
export function bearerToken(header: string | undefined): string | null {
  const match = /^Bearer +(\S+) *$/i.exec(header ?? '')
  return match?.[1] ?? null
}
