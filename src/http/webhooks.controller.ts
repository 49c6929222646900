import { Body, Controller, Delete, Get, Inject, Param, Post, Query, Req } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import type { FastifyRequest } from 'fastify'
import { webhookEventTypes } from '../../domain/webhook/event-types.ts'
import { EnableWebhookEndpoint } from '../commands/enable-webhook-endpoint.ts'
import { RegisterWebhookEndpoint } from '../commands/register-webhook-endpoint.ts'
import { RemoveWebhookEndpoint } from '../commands/remove-webhook-endpoint.ts'
import { ReplayWebhookDelivery } from '../commands/replay-webhook-delivery.ts'
import { RotateWebhookSecret } from '../commands/rotate-webhook-secret.ts'
import { SendTestWebhook } from '../commands/send-test-webhook.ts'
import { listWebhookDeliveries, webhookDeliveryView } from '../queries/list-webhook-deliveries.ts'
import { listWebhookEndpoints, webhookEndpointView } from '../queries/list-webhook-endpoints.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { NeedsScope } from './access.ts'
import { Answer } from './answer.ts'
import { endpointSecretOf } from './credentials.ts'
import { envelope } from './envelope.ts'
import type { Query as QueryParams } from './paging.ts'
import { commandContext, tenantOf } from './request-context.ts'

type WebhookEndpointRequest = { readonly url: string; readonly events?: readonly string[] | null }

export const webhookEndpointRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: {
    url: { type: 'string', minLength: 1, maxLength: 2_000, format: 'text' },
    events: {
      type: ['array', 'null'],
      minItems: 1,
      uniqueItems: true,
      items: { type: 'string', enum: webhookEventTypes },
      description: 'Without it: `job.started` and the terminal types.',
    },
  },
} as const

const webhookEndpointRequest = envelope<WebhookEndpointRequest>(webhookEndpointRequestSchema)

/** Where an org's webhooks go, and what became of them. */
@Controller('v1')
export class WebhooksController {
  readonly #runtime: Runtime
  readonly #commands: CommandBus

  constructor(@Inject(RUNTIME) runtime: Runtime, @Inject(CommandBus) commands: CommandBus) {
    this.#runtime = runtime
    this.#commands = commands
  }

  @Post('webhook-endpoints')
  @NeedsScope('webhooks:write')
  async register(@Req() request: FastifyRequest, @Body() body: unknown): Promise<Answer> {
    const { url, events = null } = webhookEndpointRequest(body)
    const command = new RegisterWebhookEndpoint(url, events, contextOf(request))
    const endpoint = await this.#commands.execute(command)
    const { endpointId, secretVersion } = endpoint
    const secret = this.#secretOf(endpointId, secretVersion)
    return new Answer(201, { ...webhookEndpointView(endpoint), secret })
  }

  @Get('webhook-endpoints')
  @NeedsScope('webhooks:write')
  async endpoints(@Req() request: FastifyRequest, @Query() query: QueryParams): Promise<unknown> {
    return listWebhookEndpoints(this.#runtime, tenantOf(request).orgId, query)
  }

  @Delete('webhook-endpoints/:endpointId')
  @NeedsScope('webhooks:write')
  async remove(
    @Req() request: FastifyRequest,
    @Param('endpointId') endpointId: string,
  ): Promise<Answer> {
    await this.#commands.execute(new RemoveWebhookEndpoint(endpointId, contextOf(request)))
    return new Answer(204, undefined)
  }

  @Post('webhook-endpoints/:endpointId/rotate')
  @NeedsScope('webhooks:write')
  async rotate(
    @Req() request: FastifyRequest,
    @Param('endpointId') endpointId: string,
  ): Promise<unknown> {
    const command = new RotateWebhookSecret(endpointId, contextOf(request))
    const { secretVersion, endingSecrets } = await this.#commands.execute(command)
    const secret = this.#secretOf(endpointId, secretVersion)
    return { endpointId, secret, previousSecretEndsAt: endingSecrets[0]?.endsAt ?? null }
  }

  @Post('webhook-endpoints/:endpointId/enable')
  @NeedsScope('webhooks:write')
  async enable(
    @Req() request: FastifyRequest,
    @Param('endpointId') endpointId: string,
  ): Promise<unknown> {
    const command = new EnableWebhookEndpoint(endpointId, contextOf(request))
    return webhookEndpointView(await this.#commands.execute(command))
  }

  @Post('webhook-endpoints/:endpointId/test')
  @NeedsScope('webhooks:write')
  async test(
    @Req() request: FastifyRequest,
    @Param('endpointId') endpointId: string,
  ): Promise<Answer> {
    const command = new SendTestWebhook(endpointId, contextOf(request))
    return new Answer(202, webhookDeliveryView(await this.#commands.execute(command)))
  }

  @Get('webhook-deliveries')
  @NeedsScope('webhooks:write')
  async deliveries(@Req() request: FastifyRequest, @Query() query: QueryParams): Promise<unknown> {
    return listWebhookDeliveries(this.#runtime, tenantOf(request).orgId, query)
  }

  @Post('webhook-deliveries/:deliveryId/replay')
  @NeedsScope('webhooks:write')
  async replay(
    @Req() request: FastifyRequest,
    @Param('deliveryId') deliveryId: string,
  ): Promise<Answer> {
    const command = new ReplayWebhookDelivery(tenantOf(request).orgId, deliveryId)
    return new Answer(202, webhookDeliveryView(await this.#commands.execute(command)))
  }

  #secretOf(endpointId: string, secretVersion: number): string {
    return endpointSecretOf(endpointId, secretVersion, this.#runtime.secretKey)
  }
}

function contextOf(request: FastifyRequest) {
  return commandContext(request, tenantOf(request).orgId)
}
