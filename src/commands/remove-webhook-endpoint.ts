import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Ends an endpoint: it gets nothing new, and what waits for it is parked. */
export class RemoveWebhookEndpoint extends Command<void> {
  readonly endpointId: string
  readonly context: CommandContext

  constructor(endpointId: string, context: CommandContext) {
    super()
    this.endpointId = endpointId
    this.context = context
  }
}

@CommandHandler(RemoveWebhookEndpoint)
export class RemoveWebhookEndpointHandler implements ICommandHandler<RemoveWebhookEndpoint> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ endpointId, context }: RemoveWebhookEndpoint): Promise<void> {
    const { pipelines, clock } = this.#runtime
    const at = isoTime(clock.now())
    const command = { type: 'RemoveWebhookEndpoint' as const, endpointId, at }
    await pipelines.accounts.handle(accountStream(context.orgId), command, context)
  }
}
