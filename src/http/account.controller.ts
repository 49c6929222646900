import { Body, Controller, Get, Inject, Post, Query, Req } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'
import { accountStream } from '../../domain/account/account.ts'
import { DomainError } from '../../domain/errors.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { uploadKey, uploadUrlMs } from '../../domain/upload/upload-key.ts'
import { getBalance } from '../queries/get-credits.ts'
import type { Balance } from '../queries/get-credits.ts'
import { pastBalance } from '../queries/ledger.ts'
import type { PastBalance } from '../queries/ledger.ts'
import { listUsage, summarizeUsage } from '../queries/list-usage.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { NeedsScope } from './access.ts'
import { Answer } from './answer.ts'
import { signClientToken, webhookSecretOf } from './credentials.ts'
import { envelope } from './envelope.ts'
import type { Query as QueryParams } from './paging.ts'
import { tenantOf } from './request-context.ts'
import { uploadBytesMax } from './limits.ts'

const tokenSecondsDefault = 300
const tokenSecondsMax = 3_600

type TokenRequest = {
  readonly userId?: string | null
  readonly channels?: readonly string[] | null
  readonly ttlSeconds?: number
}

export const tokenRequestSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    userId: {
      ...{ type: ['string', 'null'], minLength: 1, maxLength: 128, format: 'text' },
      description: 'The jobs of this user may be seen.',
    },
    channels: {
      type: ['array', 'null'],
      maxItems: 100,
      items: { type: 'string', pattern: '^job:[0-9a-f-]{36}$' },
      description: 'These channels may be seen.',
    },
    ttlSeconds: {
      ...{ type: 'integer', minimum: 1, maximum: tokenSecondsMax },
      ...{ default: tokenSecondsDefault, description: 'How long the token is valid.' },
    },
  },
} as const

const tokenRequest = envelope<TokenRequest>(tokenRequestSchema)

type UploadRequest = { readonly contentType: string; readonly bytes: number }

export const uploadRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['contentType', 'bytes'],
  properties: {
    contentType: {
      ...{ type: 'string', pattern: '^[a-z]+/[a-z0-9.+-]{1,80}$', maxLength: 100 },
      description: 'What the PUT will send as its Content-Type.',
    },
    bytes: {
      ...{ type: 'integer', minimum: 1, maximum: uploadBytesMax },
      description: 'How many bytes the PUT will send.',
    },
  },
} as const

const uploadRequest = envelope<UploadRequest>(uploadRequestSchema)

/** What an org sees of itself: balance, usage, secrets, tokens, uploads. */
@Controller('v1')
export class AccountController {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  @Get('balance')
  @NeedsScope('billing:read')
  async balance(
    @Req() request: FastifyRequest,
    @Query() query: QueryParams,
  ): Promise<Balance | PastBalance> {
    const { orgId } = tenantOf(request)
    const { sql } = this.#runtime
    const past = await pastBalance(sql, orgId, query)
    return past ?? (await getBalance(sql, orgId)) ?? this.#foldedBalance(orgId)
  }

  @Get('usage')
  @NeedsScope('billing:read')
  async usage(@Req() request: FastifyRequest, @Query() query: QueryParams): Promise<unknown> {
    return listUsage(this.#runtime.sql, tenantOf(request).orgId, query)
  }

  @Get('usage/summary')
  @NeedsScope('billing:read')
  async usageSummary(@Req() request: FastifyRequest, @Query() query: QueryParams) {
    return summarizeUsage(this.#runtime.sql, tenantOf(request).orgId, query)
  }

  @Get('webhook-secret')
  @NeedsScope('webhooks:write')
  webhookSecret(@Req() request: FastifyRequest): { secret: string } {
    return { secret: webhookSecretOf(tenantOf(request).orgId, this.#runtime.secretKey) }
  }

  @Post('tokens')
  @NeedsScope('jobs:read')
  token(@Req() request: FastifyRequest, @Body() body: unknown): Answer {
    const { userId = null, channels = null, ttlSeconds } = tokenRequest(body ?? {})
    const { kind, orgId } = tenantOf(request)
    // Otherwise a token could outlive itself.
    if (kind === 'client') throw new DomainError('forbidden', 'Tokens are made with an API key.')
    const { clock, secretKey } = this.#runtime
    const expiresAt = clock.now() + (ttlSeconds ?? tokenSecondsDefault) * 1000
    const token = signClientToken({ orgId, userId, channels, scopes: [], expiresAt }, secretKey)
    return new Answer(201, { token, expiresAt: isoTime(expiresAt) })
  }

  @Post('uploads')
  @NeedsScope('jobs:write')
  async upload(@Req() request: FastifyRequest, @Body() body: unknown): Promise<Answer> {
    const { contentType, bytes } = uploadRequest(body)
    const { objects, clock } = this.#runtime
    const uploadId = request.weir.subjectId
    const key = uploadKey(tenantOf(request).orgId, uploadId)
    const expiresAt = clock.now() + uploadUrlMs
    const { url, method, headers } = await objects.signPut({ key, contentType, bytes, expiresAt })
    return new Answer(201, { uploadId, url, method, headers, expiresAt: isoTime(expiresAt) })
  }

  /** An org that was opened a moment ago is not in the read model yet. */
  async #foldedBalance(orgId: string): Promise<Balance> {
    const { state } = await this.#runtime.pipelines.accounts.load(accountStream(orgId))
    const { posted, held, overdraft } = state
    return {
      orgId,
      available: (posted - held + overdraft).toString(),
      held: held.toString(),
      posted: posted.toString(),
      overdraft: overdraft.toString(),
      currency: 'credits',
    }
  }
}
