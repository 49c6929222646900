import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import { existingEndpoint } from '../../domain/account/webhook-endpoints.ts'
import type { WebhookEndpoint } from '../../domain/account/webhook-endpoints.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Lets an endpoint that answered 410 hear of what is new again. */
export class EnableWebhookEndpoint extends Command<WebhookEndpoint> {
  readonly endpointId: string
  readonly context: CommandContext

  constructor(endpointId: string, context: CommandContext) {
    super()
    this.endpointId = endpointId
    this.context = context
  }
}

@CommandHandler(EnableWebhookEndpoint)
export class EnableWebhookEndpointHandler implements ICommandHandler<EnableWebhookEndpoint> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ endpointId, context }: EnableWebhookEndpoint): Promise<WebhookEndpoint> {
    const { pipelines, clock } = this.#runtime
    const at = isoTime(clock.now())
    const command = { type: 'EnableWebhookEndpoint' as const, endpointId, at }
    const stream = accountStream(context.orgId)
    const { state } = await pipelines.accounts.handle(stream, command, context)
    return existingEndpoint(state.endpoints, endpointId)
  }
}
