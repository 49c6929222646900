import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Lifts the ban and the throttle of an org. */
export class ReinstateAccount extends Command<void> {
  readonly reason: string
  readonly context: CommandContext

  constructor(reason: string, context: CommandContext) {
    super()
    this.reason = reason
    this.context = context
  }
}

@CommandHandler(ReinstateAccount)
export class ReinstateAccountHandler implements ICommandHandler<ReinstateAccount> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ reason, context }: ReinstateAccount): Promise<void> {
    const { pipelines, clock, signals } = this.#runtime
    const at = isoTime(clock.now())
    const command = { type: 'ReinstateAccount' as const, reason, at }
    await pipelines.accounts.handle(accountStream(context.orgId), command, context)
    await signals.publish('access_changed', { orgId: context.orgId })
  }
}
