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
import { requireCallable } from './webhook-url.ts'

/** Sends what comes from now on to a URL too. The endpoint is named after the command. */
export class RegisterWebhookEndpoint extends Command<WebhookEndpoint> {
  readonly url: string
  /** Null for those that a webhook gets when it does not say. */
  readonly events: readonly string[] | null
  readonly context: CommandContext

  constructor(url: string, events: readonly string[] | null, context: CommandContext) {
    super()
    this.url = url
    this.events = events
    this.context = context
  }
}

@CommandHandler(RegisterWebhookEndpoint)
export class RegisterWebhookEndpointHandler implements ICommandHandler<RegisterWebhookEndpoint> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ url, events, context }: RegisterWebhookEndpoint): Promise<WebhookEndpoint> {
    const { pipelines, clock } = this.#runtime
    requireCallable(this.#runtime, url, '/url')
    const endpointId = context.commandId
    const at = isoTime(clock.now())
    const command = { type: 'RegisterWebhookEndpoint' as const, endpointId, url, events, at }
    const stream = accountStream(context.orgId)
    const { state } = await pipelines.accounts.handle(stream, command, context)
    return existingEndpoint(state.endpoints, endpointId)
  }
}
