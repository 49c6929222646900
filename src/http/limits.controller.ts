import { Body, Controller, Get, HttpCode, Inject, Param, Post, Put, Req } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import type { Command } from '@nestjs/cqrs'
import type { FastifyRequest } from 'fastify'
import { accountStream } from '../../domain/account/account.ts'
import { DomainError } from '../../domain/errors.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { BanAccount } from '../commands/ban-account.ts'
import { ReinstateAccount } from '../commands/reinstate-account.ts'
import { SetLimits } from '../commands/set-limits.ts'
import { ThrottleAccount } from '../commands/throttle-account.ts'
import { showStanding } from '../queries/show-limits.ts'
import type { StandingView } from '../queries/show-limits.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { NeedsRole, NeedsScope } from './access.ts'
import { endingTime } from './envelope.ts'
import { limitsOf, limitsRequest, reasonRequest, throttleRequest } from './limit-bodies.ts'
import { commandContext, tenantOf } from './request-context.ts'

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const reasonDefault = 'limits set'

type OrgStanding = StandingView & { readonly orgId: string }

/** How much an org may submit: what it sees of that, and what operators do about it. */
@Controller('v1')
export class LimitsController {
  readonly #runtime: Runtime
  readonly #commands: CommandBus

  constructor(@Inject(RUNTIME) runtime: Runtime, @Inject(CommandBus) commands: CommandBus) {
    this.#runtime = runtime
    this.#commands = commands
  }

  @Get('limits')
  @NeedsScope('billing:read')
  async limits(@Req() request: FastifyRequest): Promise<OrgStanding> {
    return this.#show(tenantOf(request).orgId)
  }

  @Put('admin/orgs/:orgId/limits')
  @NeedsRole('support')
  async setLimits(
    @Req() request: FastifyRequest,
    @Param('orgId') orgId: string,
    @Body() body: unknown,
  ): Promise<OrgStanding> {
    const wanted = limitsRequest(body)
    const { reason = reasonDefault } = wanted
    const limits = limitsOf(wanted, this.#runtime.clock.now())
    return this.#run(request, orgId, (context) => new SetLimits(limits, reason, context))
  }

  @Post('admin/orgs/:orgId/throttle')
  @HttpCode(200)
  @NeedsRole('support')
  async throttle(
    @Req() request: FastifyRequest,
    @Param('orgId') orgId: string,
    @Body() body: unknown,
  ): Promise<OrgStanding> {
    const { requestsPerMinute, reason, until } = throttleRequest(body)
    const ending = { now: this.#runtime.clock.now(), pointer: '/until' }
    const throttle = { requestsPerMinute, reason, until: endingTime(until, ending) }
    return this.#run(request, orgId, (context) => new ThrottleAccount(throttle, context))
  }

  @Post('admin/orgs/:orgId/ban')
  @HttpCode(200)
  @NeedsRole('support')
  async ban(
    @Req() request: FastifyRequest,
    @Param('orgId') orgId: string,
    @Body() body: unknown,
  ): Promise<OrgStanding> {
    const { reason } = reasonRequest(body)
    return this.#run(request, orgId, (context) => new BanAccount(reason, context))
  }

  @Post('admin/orgs/:orgId/reinstate')
  @HttpCode(200)
  @NeedsRole('support')
  async reinstate(
    @Req() request: FastifyRequest,
    @Param('orgId') orgId: string,
    @Body() body: unknown,
  ): Promise<OrgStanding> {
    const { reason } = reasonRequest(body)
    return this.#run(request, orgId, (context) => new ReinstateAccount(reason, context))
  }

  async #run(
    request: FastifyRequest,
    orgId: string,
    command: (context: CommandContext) => Command<void>,
  ): Promise<OrgStanding> {
    if (!uuidPattern.test(orgId)) throw noSuchOrg()
    await this.#commands.execute(command(commandContext(request, orgId)))
    return this.#show(orgId)
  }

  async #show(orgId: string): Promise<OrgStanding> {
    const { pipelines, clock } = this.#runtime
    const { state } = await pipelines.accounts.load(accountStream(orgId))
    if (state.orgId === null) throw noSuchOrg()
    return { orgId, ...showStanding(state, isoTime(clock.now())) }
  }
}

function noSuchOrg(): DomainError {
  return new DomainError('not_found', 'There is no such organisation.')
}
