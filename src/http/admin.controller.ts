import { Body, Controller, Delete, Get, Inject, Param, Post, Put, Query, Req } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import type { FastifyRequest } from 'fastify'
import { allScopes } from '../../domain/account/account-events.ts'
import { accountStream, availableAt } from '../../domain/account/account.ts'
import type { Account } from '../../domain/account/account.ts'
import { DomainError } from '../../domain/errors.ts'
import { existingJob, jobStream } from '../../domain/job/job.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { formatPico, storedAmount } from '../../domain/pricing/money.ts'
import { priceBookStream } from '../../domain/pricing/price-book.ts'
import type { PriceVersion } from '../../domain/pricing/price-book.ts'
import { AdjustCredits } from '../commands/adjust-credits.ts'
import { CreateOrg } from '../commands/create-org.ts'
import { GrantCredits } from '../commands/grant-credits.ts'
import { IssueApiKey } from '../commands/issue-api-key.ts'
import { PublishPrice } from '../commands/publish-price.ts'
import { RetryJob } from '../commands/retry-job.ts'
import { RevokeApiKey } from '../commands/revoke-api-key.ts'
import { listHolds, listOrgs } from '../queries/admin-lists.ts'
import { listAudit } from '../queries/list-audit.ts'
import { isJobId, showJob } from '../queries/get-job.ts'
import { showStanding } from '../queries/show-limits.ts'
import { listOrgJobs } from '../queries/list-jobs.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { NeedsRole } from './access.ts'
import {
  adjustmentRequest,
  boundedAmount,
  grantRequest,
  keyRequest,
  orgRequest,
  pricesRequest,
} from './admin-bodies.ts'
import { Answer } from './answer.ts'
import { endingTime, parseTime } from './envelope.ts'
import type { Query as QueryParams } from './paging.ts'
import { commandContext } from './request-context.ts'

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const priorityDefault = 100

@Controller('v1/admin')
export class AdminController {
  readonly #runtime: Runtime
  readonly #commands: CommandBus

  constructor(@Inject(RUNTIME) runtime: Runtime, @Inject(CommandBus) commands: CommandBus) {
    this.#runtime = runtime
    this.#commands = commands
  }

  @Post('orgs')
  @NeedsRole('owner')
  async createOrg(@Req() request: FastifyRequest, @Body() body: unknown): Promise<Answer> {
    const { name, overdraft = '0' } = orgRequest(body)
    const orgId = request.weir.subjectId
    const context = commandContext(request, orgId)
    await this.#commands.execute(new CreateOrg(name, BigInt(overdraft), context))
    return new Answer(201, { orgId, name, overdraft, status: 'active' })
  }

  @Get('orgs')
  @NeedsRole('viewer')
  async orgs(@Query() query: QueryParams): Promise<unknown> {
    const { sql, clock } = this.#runtime
    return listOrgs(sql, query, isoTime(clock.now()))
  }

  @Get('orgs/:orgId')
  @NeedsRole('viewer')
  async org(@Param('orgId') orgId: string): Promise<unknown> {
    const account = await this.#account(orgId)
    const { name, overdraft, posted, held, grants, keys } = account
    const at = isoTime(this.#runtime.clock.now())
    const available = availableAt(account, at)
    const amounts = { available, held, posted, overdraft }
    return {
      ...{ orgId, name, ...showStanding(account, at) },
      balance: Object.fromEntries(
        Object.entries(amounts).map(([key, amount]) => [key, amount.toString()]),
      ),
      grants: grants.map(({ sequence: _, amount, remaining, ...grant }) => ({
        ...grant,
        ...{ amount: amount.toString(), remaining: remaining.toString() },
      })),
      keys: keys.map(({ secretSha256: _, ...key }) => key),
    }
  }

  @Post('orgs/:orgId/keys')
  @NeedsRole('support')
  async issueKey(
    @Req() request: FastifyRequest,
    @Param('orgId') orgId: string,
    @Body() body: unknown,
  ): Promise<Answer> {
    const { name = 'key', scopes = allScopes } = keyRequest(body ?? {})
    await this.#account(orgId)
    const context = commandContext(request, orgId)
    return new Answer(201, await this.#commands.execute(new IssueApiKey(name, scopes, context)))
  }

  @Delete('orgs/:orgId/keys/:keyId')
  @NeedsRole('support')
  async revokeKey(
    @Req() request: FastifyRequest,
    @Param('orgId') orgId: string,
    @Param('keyId') keyId: string,
  ): Promise<Answer> {
    await this.#account(orgId)
    await this.#commands.execute(new RevokeApiKey(keyId, commandContext(request, orgId)))
    return new Answer(204, undefined)
  }

  @Post('orgs/:orgId/grants')
  @NeedsRole('finance')
  async grant(
    @Req() request: FastifyRequest,
    @Param('orgId') orgId: string,
    @Body() body: unknown,
  ): Promise<Answer> {
    const { amount, kind, reason, expiresAt: end, priority = priorityDefault } = grantRequest(body)
    await this.#account(orgId)
    const grantId = request.weir.subjectId
    const ending = { now: this.#runtime.clock.now(), pointer: '/expiresAt' }
    const expiresAt = endingTime(end, ending)
    const terms = { grantId, kind, reason, priority, expiresAt }
    const command = { ...terms, amount: boundedAmount(amount) }
    await this.#commands.execute(new GrantCredits(command, commandContext(request, orgId)))
    return new Answer(201, { orgId, amount, ...terms })
  }

  @Post('orgs/:orgId/adjustments')
  @NeedsRole('finance')
  async adjust(
    @Req() request: FastifyRequest,
    @Param('orgId') orgId: string,
    @Body() body: unknown,
  ): Promise<Answer> {
    const { amount, reason } = adjustmentRequest(body)
    await this.#account(orgId)
    const adjustmentId = request.weir.subjectId
    const adjustment = { adjustmentId, amount: boundedAmount(amount), reason }
    await this.#commands.execute(new AdjustCredits(adjustment, commandContext(request, orgId)))
    return new Answer(201, { adjustmentId, orgId, amount, reason })
  }

  @Get('audit')
  @NeedsRole('viewer')
  async audit(@Query() query: QueryParams): Promise<unknown> {
    return listAudit(this.#runtime.sql, query)
  }

  @Get('holds')
  @NeedsRole('viewer')
  async holds(@Query() query: QueryParams): Promise<unknown> {
    return listHolds(this.#runtime.sql, query)
  }

  @Get('jobs')
  @NeedsRole('viewer')
  async jobs(@Query() query: QueryParams): Promise<unknown> {
    return listOrgJobs(this.#runtime, query)
  }

  @Post('jobs/:jobId/retry')
  @NeedsRole('support')
  async retry(@Req() request: FastifyRequest, @Param('jobId') jobId: string): Promise<Answer> {
    if (!isJobId(jobId)) throw new DomainError('not_found', 'There is no such job.')
    const { state } = await this.#runtime.pipelines.jobs.load(jobStream(jobId))
    const { orgId, userId } = existingJob(state).spec
    Object.assign(request.weir, { jobId, userId })
    const context = commandContext(request, orgId)
    const retried = await this.#commands.execute(new RetryJob(jobId, context))
    return new Answer(202, await showJob(this.#runtime, retried))
  }

  @Get('prices')
  @NeedsRole('viewer')
  async prices(): Promise<unknown> {
    const { state } = await this.#runtime.pipelines.priceBook.load(priceBookStream)
    return { items: state.versions.map(showVersion).reverse(), nextCursor: null }
  }

  @Put('prices')
  @NeedsRole('finance')
  async publishPrices(@Req() request: FastifyRequest, @Body() body: unknown): Promise<unknown> {
    const { prices, effectiveAt, reason = 'published' } = pricesRequest(body)
    const effectiveMs = effectiveAt ? parseTime(effectiveAt) : null
    const effective = effectiveMs === null ? null : isoTime(effectiveMs)
    const context = commandContext(request, 'weir')
    return showVersion(
      await this.#commands.execute(new PublishPrice(prices, effective, reason, context)),
    )
  }

  async #account(orgId: string): Promise<Account> {
    if (!uuidPattern.test(orgId)) throw noSuchOrg()
    const { state } = await this.#runtime.pipelines.accounts.load(accountStream(orgId))
    if (state.orgId === null) throw noSuchOrg()
    return state
  }
}

function showVersion({ version, effectiveAt, prices }: PriceVersion) {
  return {
    version,
    effectiveAt,
    prices: prices.map(({ provider, model, unit, costPicoUsd, pricePicoCredits }) => ({
      ...{ provider, model, unit },
      costUsd: formatPico(storedAmount(costPicoUsd)),
      priceCredits: formatPico(storedAmount(pricePicoCredits)),
    })),
  }
}

function noSuchOrg(): DomainError {
  return new DomainError('not_found', 'There is no such organisation.')
}
