import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import { existingEndpoint } from '../../domain/account/webhook-endpoints.ts'
import { assert } from '../../domain/assert.ts'
import { DomainError } from '../../domain/errors.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import type { DeliveryState } from '../../domain/ports/delivery-store.ts'
import { testEventType } from '../../domain/webhook/event-types.ts'
import { testWebhookBody } from '../../domain/webhook/payload.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Queues an event for an endpoint that is about nothing but the endpoint. */
export class SendTestWebhook extends Command<DeliveryState> {
  readonly endpointId: string
  readonly context: CommandContext

  constructor(endpointId: string, context: CommandContext) {
    super()
    this.endpointId = endpointId
    this.context = context
  }
}

@CommandHandler(SendTestWebhook)
export class SendTestWebhookHandler implements ICommandHandler<SendTestWebhook> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ endpointId, context }: SendTestWebhook): Promise<DeliveryState> {
    const { pipelines, deliveries, clock, ids } = this.#runtime
    const { orgId, commandId } = context
    const { state } = await pipelines.accounts.load(accountStream(orgId))
    const { url, disabledAt } = existingEndpoint(state.endpoints, endpointId)
    if (disabledAt !== null) {
      const detail = 'The endpoint answered 410 and is disabled; enable it first.'
      throw new DomainError('conflict', detail)
    }
    const nowMs = clock.now()
    const deliveryId = ids.derive('webhook-test', commandId)
    const body = testWebhookBody(endpointId, isoTime(nowMs))
    const about = { orgId, jobId: null, endpointId, url, eventType: testEventType, sequence: 0 }
    await deliveries.enqueue([{ deliveryId, ...about, body, nowMs }])
    const delivery = await deliveries.find(deliveryId)
    assert(delivery !== null, 'a delivery that was just written is there')
    return delivery
  }
}
