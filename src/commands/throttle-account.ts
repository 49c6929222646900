import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { Throttle } from '../../domain/account/standing.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Lets an org submit only so much, until a time or until it is reinstated. */
export class ThrottleAccount extends Command<void> {
  readonly throttle: Throttle
  readonly context: CommandContext

  constructor(throttle: Throttle, context: CommandContext) {
    super()
    this.throttle = throttle
    this.context = context
  }
}

@CommandHandler(ThrottleAccount)
export class ThrottleAccountHandler implements ICommandHandler<ThrottleAccount> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ throttle, context }: ThrottleAccount): Promise<void> {
    const { pipelines, clock, signals } = this.#runtime
    const at = isoTime(clock.now())
    const command = { type: 'ThrottleAccount' as const, ...throttle, at }
    await pipelines.accounts.handle(accountStream(context.orgId), command, context)
    await signals.publish('access_changed', { orgId: context.orgId })
  }
}
