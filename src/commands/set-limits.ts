import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { Limit } from '../../domain/account/limits.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Replaces the limits of an org; what was used of them stays used. */
export class SetLimits extends Command<void> {
  readonly limits: readonly Limit[]
  readonly reason: string
  readonly context: CommandContext

  constructor(limits: readonly Limit[], reason: string, context: CommandContext) {
    super()
    this.limits = limits
    this.reason = reason
    this.context = context
  }
}

@CommandHandler(SetLimits)
export class SetLimitsHandler implements ICommandHandler<SetLimits> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ limits, reason, context }: SetLimits): Promise<void> {
    const { pipelines, clock, signals } = this.#runtime
    const at = isoTime(clock.now())
    const command = { type: 'SetLimits' as const, limits, reason, at }
    await pipelines.accounts.handle(accountStream(context.orgId), command, context)
    await signals.publish('access_changed', { orgId: context.orgId })
  }
}
