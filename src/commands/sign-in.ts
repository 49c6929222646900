import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { DomainError } from '../../domain/errors.ts'
import { operatorsStream } from '../../domain/operators/operators.ts'
import type { Operator } from '../../domain/operators/operators.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import type { LimitCheck } from '../../domain/ports/limit-store.ts'
import { newSessionToken } from '../http/credentials.ts'
import { isPassword } from '../http/password.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** A session ends after that time, used or not, ms. */
export const sessionMs = 12 * 3_600_000
/** Wrong passwords for one address of a person, and from one place in the network. */
const triesMax = { email: 10, ip: 30 } as const
const triesWindowMs = 15 * 60_000

/** Who signs in, and from where. */
export type Credentials = {
  readonly email: string
  readonly password: string
  readonly ip: string
}

export type SignedIn = {
  readonly operator: Operator
  /** For the cookie; it is kept nowhere. */
  readonly token: string
  readonly endsAt: string
}

/** Opens a session for a browser of an operator. */
export class SignIn extends Command<SignedIn> {
  readonly credentials: Credentials
  readonly context: CommandContext

  constructor(credentials: Credentials, context: CommandContext) {
    super()
    this.credentials = credentials
    this.context = context
  }
}

@CommandHandler(SignIn)
export class SignInHandler implements ICommandHandler<SignIn> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ credentials, context }: SignIn): Promise<SignedIn> {
    const { pipelines, clock, ids } = this.#runtime
    const { operatorId } = await this.#prove(credentials)
    const { sessionId, token, secretSha256 } = newSessionToken((count) => ids.bytes(count))
    const now = clock.now()
    const endsAt = isoTime(now + sessionMs)
    const session = { operatorId, sessionId, secretSha256, signedInAt: isoTime(now), endsAt }
    const command = { type: 'SignIn' as const, ...session }
    const signing = { ...context, actor: `admin:${operatorId}` }
    const { state } = await pipelines.operators.handle(operatorsStream, command, signing)
    const operator = state.operators.find((known) => known.operatorId === operatorId)
    if (!operator) throw new DomainError('not_found', 'There is no such operator.')
    return { operator, token, endsAt }
  }

  /** Tries that fail are counted; one that succeeds is given back. */
  async #prove({ email, password, ip }: Credentials): Promise<Operator> {
    const { pipelines, limits, clock, metrics } = this.#runtime
    const checks = checksOf(email, ip)
    const decision = await limits.take(checks, clock.now())
    if (!decision.allowed) throw tooOften(checks, decision, clock.now())
    const { state } = await pipelines.operators.load(operatorsStream)
    const known = state.operators.find((operator) => folded(operator.email) === folded(email))
    const looked = isPassword(password, known?.passwordHash ?? null)
    // A password that was not looked at was no try.
    const isProven = await looked.catch(async (error: unknown) => {
      await limits.give(checks, clock.now())
      throw error
    })
    if (!known || !isProven) {
      metrics.authFailed('invalid')
      throw new DomainError('unauthenticated', 'The e-mail address or the password is wrong.')
    }
    await limits.give(checks, clock.now())
    return known
  }
}

const folded = (email: string): string => email.trim().toLowerCase()

/** Addresses are kept as hashes: a counter's name is no place for what people type. */
function checksOf(email: string, ip: string): readonly LimitCheck[] {
  const check = (kind: keyof typeof triesMax, value: string): LimitCheck => {
    const key = `sign-in:${kind}:${createHash('sha256').update(value).digest('hex')}`
    return { key, max: triesMax[kind], windowMs: triesWindowMs, cost: 1 }
  }
  return [check('email', folded(email)), check('ip', placeOf(ip))]
}

/** As some proxies tell an address: with the port, another one for each connection. */
const withPort = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d+)?$/

/** Who has one address of an IPv6 network has 2^64 of them: its first half is the place. */
function placeOf(told: string): string {
  const [, six, four] = withPort.exec(told) ?? []
  const ip = six ?? four ?? told
  // One with dots is an IPv4 address in the clothes of the other kind.
  if (!isIPv6(ip) || ip.includes('.')) return ip
  const [head = '', tail = ''] = ip.split('::')
  const [first, last] = [head, tail].map((groups) => groups.split(':').filter(Boolean))
  const zeros = 8 - (first?.length ?? 0) - (last?.length ?? 0)
  const groups = [...(first ?? []), ...Array.from({ length: zeros }, () => '0'), ...(last ?? [])]
  return groups.slice(0, 4).join(':')
}

type Refused = { readonly key: string; readonly used: number; readonly retryAfterMs: number }

function tooOften(checks: readonly LimitCheck[], refused: Refused, now: number): DomainError {
  const { used, retryAfterMs } = refused
  const limit = checks.find(({ key }) => key === refused.key)?.max ?? used
  return new DomainError('rate_limited', 'Too many wrong passwords; try again later.', {
    ...{ limit, scope: 'operator', used, resetAt: isoTime(now + retryAfterMs) },
    ...{ policy: 'operator-sign-in', windowSeconds: triesWindowMs / 1000 },
    retryAfterSeconds: Math.max(Math.ceil(retryAfterMs / 1000), 1),
  })
}
