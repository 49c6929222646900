import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Takes nothing new from an org; its sockets close within seconds, what runs ends. */
export class BanAccount extends Command<void> {
  readonly reason: string
  readonly context: CommandContext

  constructor(reason: string, context: CommandContext) {
    super()
    this.reason = reason
    this.context = context
  }
}

@CommandHandler(BanAccount)
export class BanAccountHandler implements ICommandHandler<BanAccount> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ reason, context }: BanAccount): Promise<void> {
    const { pipelines, clock, signals } = this.#runtime
    const at = isoTime(clock.now())
    const command = { type: 'BanAccount' as const, reason, at }
    await pipelines.accounts.handle(accountStream(context.orgId), command, context)
    await signals.publish('access_changed', { orgId: context.orgId })
  }
}
