import { Body, Controller, Delete, Get, Inject, Post, Req } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import type { FastifyRequest } from 'fastify'
import { DomainError } from '../../domain/errors.ts'
import { operatorsStream } from '../../domain/operators/operators.ts'
import type { Operator } from '../../domain/operators/operators.ts'
import { SignIn, sessionMs } from '../commands/sign-in.ts'
import { SignOut } from '../commands/sign-out.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { NeedsRole, Public } from './access.ts'
import { Answer } from './answer.ts'
import { Authenticator } from './authenticator.ts'
import { envelope } from './envelope.ts'
import { commandContext } from './request-context.ts'
import { requireSameOrigin, sessionOf, setCookie } from './session-cookie.ts'

type SessionRequest = { readonly email: string; readonly password: string }

export const sessionRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['email', 'password'],
  properties: {
    email: { type: 'string', minLength: 1, maxLength: 320, format: 'text' },
    password: { type: 'string', minLength: 1, maxLength: 1_000, format: 'text' },
  },
} as const

const sessionRequest = envelope<SessionRequest>(sessionRequestSchema)

/** Who is signed in. */
export type SessionView = {
  readonly operatorId: string
  readonly email: string
  readonly role: Operator['role']
  /** Null for a token, which does not end by itself. */
  readonly expiresAt: string | null
}

/** Sessions of operators in browsers: a cookie that no script can read. */
@Controller('v1/admin/session')
export class SessionController {
  readonly #runtime: Runtime
  readonly #commands: CommandBus
  readonly #authenticator: Authenticator

  constructor(
    @Inject(RUNTIME) runtime: Runtime,
    @Inject(CommandBus) commands: CommandBus,
    @Inject(Authenticator) authenticator: Authenticator,
  ) {
    this.#runtime = runtime
    this.#commands = commands
    this.#authenticator = authenticator
  }

  @Post()
  @Public()
  async signIn(@Req() request: FastifyRequest, @Body() body: unknown): Promise<Answer> {
    const { publicUrl } = this.#runtime.config
    requireSameOrigin(request, publicUrl)
    const credentials = { ...sessionRequest(body), ip: request.ip }
    const context = commandContext(request, 'weir')
    const { operator, token, endsAt } = await this.#commands.execute(
      new SignIn(credentials, context),
    )
    const cookie = setCookie(token, sessionMs / 1000, publicUrl)
    return new Answer(201, show(operator, endsAt), { 'set-cookie': cookie })
  }

  @Get()
  @NeedsRole('viewer')
  async session(@Req() request: FastifyRequest): Promise<SessionView> {
    const { principal } = request.weir
    const { state } = await this.#runtime.pipelines.operators.load(operatorsStream)
    const operator =
      principal?.kind === 'operator'
        ? state.operators.find(({ operatorId }) => operatorId === principal.operatorId)
        : undefined
    if (!operator || principal?.kind !== 'operator') {
      throw new DomainError('unauthenticated', 'Nobody is signed in.')
    }
    return show(operator, principal.session?.endsAt ?? null)
  }

  /** Whoever has no session any more is signed out as well. */
  @Delete()
  @Public()
  async signOut(@Req() request: FastifyRequest): Promise<Answer> {
    const { publicUrl } = this.#runtime.config
    requireSameOrigin(request, publicUrl)
    const token = sessionOf(request)
    const principal = token === null ? null : await this.#authenticator.findSession(token)
    if (principal?.session) {
      request.weir.principal = principal
      const context = commandContext(request, 'weir')
      await this.#commands.execute(new SignOut(principal.session, context))
    }
    return new Answer(204, undefined, { 'set-cookie': setCookie('', 0, publicUrl) })
  }
}

function show({ operatorId, email, role }: Operator, expiresAt: string | null): SessionView {
  return { operatorId, email, role, expiresAt }
}
