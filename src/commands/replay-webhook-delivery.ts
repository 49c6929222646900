import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import { assert } from '../../domain/assert.ts'
import { DomainError } from '../../domain/errors.ts'
import type { DeliveryState } from '../../domain/ports/delivery-store.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** An event id, or one with the id of an endpoint. */
const deliveryIdPattern = /^[0-9a-f-]{36}(\.[0-9a-f-]{36})?$/

/** Queues a delivery that is over once more, under its id. */
export class ReplayWebhookDelivery extends Command<DeliveryState> {
  readonly orgId: string
  readonly deliveryId: string

  constructor(orgId: string, deliveryId: string) {
    super()
    this.orgId = orgId
    this.deliveryId = deliveryId
  }
}

@CommandHandler(ReplayWebhookDelivery)
export class ReplayWebhookDeliveryHandler implements ICommandHandler<ReplayWebhookDelivery> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ orgId, deliveryId }: ReplayWebhookDelivery): Promise<DeliveryState> {
    const { deliveries, clock } = this.#runtime
    const known = deliveryIdPattern.test(deliveryId) ? await deliveries.find(deliveryId) : null
    if (known?.orgId !== orgId) throw new DomainError('not_found', 'There is no such delivery.')
    await this.#requireReceiver(known)
    if (!(await deliveries.replay(deliveryId, clock.now()))) {
      throw new DomainError('conflict', 'The delivery is under way; there is nothing to replay.')
    }
    const queued = await deliveries.find(deliveryId)
    assert(queued !== null, 'a delivery that was just queued is there')
    return queued
  }

  /** An endpoint that is disabled may be tried by hand; a removed one has no secret any more. */
  async #requireReceiver({ orgId, endpointId }: DeliveryState): Promise<void> {
    if (endpointId === null) return
    const { state } = await this.#runtime.pipelines.accounts.load(accountStream(orgId))
    if (state.endpoints.all.some((endpoint) => endpoint.endpointId === endpointId)) return
    throw new DomainError('conflict', 'The endpoint of this delivery was removed.')
  }
}
