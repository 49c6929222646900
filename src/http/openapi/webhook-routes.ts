import { endpointsMax, secretsMax } from '../../../domain/account/webhook-endpoints.ts'
import { DomainError, invalid } from '../../../domain/errors.ts'
import { defaultWebhookEvents } from '../../../domain/webhook/event-types.ts'
import type { WebhookDeliveryView } from '../../queries/list-webhook-deliveries.ts'
import type { WebhookEndpointView } from '../../queries/list-webhook-endpoints.ts'
import { deliveryId, endpointId, jobId, succeededEvent, upscaleRequest } from './examples.ts'
import type { Refusal } from './problems.ts'
import type { Route } from './route.ts'
import { example, json, pageExample } from './route.ts'
import { jsonOf } from './schema.ts'

const url = upscaleRequest.webhook?.url ?? ''
const secret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDk2Z6kOqVbZs='

const endpoint: WebhookEndpointView = {
  ...{ endpointId, url, events: defaultWebhookEvents, status: 'enabled' },
  ...{ createdAt: '2026-01-08T20:23:38.775Z', disabledAt: null },
}
const delivered: WebhookDeliveryView = {
  ...{ deliveryId, endpointId, jobId, url, type: succeededEvent.type },
  ...{ sequence: succeededEvent.revision, status: 'delivered', attempts: 1 },
  ...{ nextAttemptAt: null, lastStatus: 200, lastError: null, createdAt: succeededEvent.at },
}
const pending: WebhookDeliveryView = {
  ...{ ...delivered, status: 'pending', attempts: 0, lastStatus: null },
  nextAttemptAt: '2026-01-31T10:12:44.090Z',
}
const test: WebhookDeliveryView = {
  ...{ ...pending, deliveryId: '2c7d9b64-0f58-5c1e-9d3a-b06e4f8a7d15', jobId: null },
  ...{ type: 'webhook.test', sequence: 0, createdAt: '2026-01-31T10:12:44.090Z' },
}

const noSuchEndpoint: Refusal = {
  when: 'There is no such endpoint, or it was removed.',
  error: new DomainError('not_found', 'There is no such webhook endpoint.'),
}

/** Where webhooks go, and what became of them. */
export const webhookRoutes: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/webhook-endpoints',
    operationId: 'registerWebhookEndpoint',
    summary: 'Register an endpoint',
    description:
      'From now on it gets the events of every job of your organisation, signed with its own ' +
      'secret. Jobs that name a `webhook` of their own report there as well.',
    access: { scope: 'webhooks:write' },
    body: { required: true, content: json('WebhookEndpointRequest', example({ url })) },
    answers: {
      201: {
        description: 'The endpoint with its secret, which is not shown again.',
        content: json('NewWebhookEndpoint', example(jsonOf({ ...endpoint, secret }))),
      },
    },
    refusals: [
      {
        when: `The organisation has ${endpointsMax} endpoints already.`,
        error: new DomainError(
          'conflict',
          `An organisation has at most ${endpointsMax} webhook endpoints; remove one.`,
        ),
      },
      {
        when: 'The URL may never be called.',
        error: invalid('invalid_input', [
          {
            pointer: '/url',
            detail:
              'The URL must use https. For development, start weir with ' +
              'WEIR_ALLOW_PRIVATE_WEBHOOKS=true.',
          },
        ]),
      },
    ],
  },
  {
    method: 'get',
    path: '/v1/webhook-endpoints',
    operationId: 'listWebhookEndpoints',
    summary: 'List endpoints',
    description: 'Newest first, as they are now. Their secrets are not shown.',
    access: { scope: 'webhooks:write' },
    parameters: ['cursor', 'limit'],
    answers: {
      200: {
        description: 'A page.',
        content: json('WebhookEndpointPage', pageExample(jsonOf(endpoint))),
      },
    },
  },
  {
    method: 'delete',
    path: '/v1/webhook-endpoints/{endpointId}',
    operationId: 'removeWebhookEndpoint',
    summary: 'Remove an endpoint',
    description: 'It gets nothing new, and what waits for it is parked.',
    access: { scope: 'webhooks:write' },
    answers: { 204: { description: 'It is removed, now or before.' } },
    refusals: [noSuchEndpoint],
  },
  {
    method: 'post',
    path: '/v1/webhook-endpoints/{endpointId}/rotate',
    operationId: 'rotateWebhookSecret',
    summary: 'Give an endpoint a new secret',
    description:
      'For 24 hours deliveries carry two signatures, one of the new secret and one of the old ' +
      'one: change it at your side in the meantime.',
    access: { scope: 'webhooks:write' },
    answers: {
      200: {
        description: 'The new secret, which is not shown again.',
        content: json(
          'RotatedWebhookSecret',
          example({ endpointId, secret, previousSecretEndsAt: '2026-02-01T09:00:00.000Z' }),
        ),
      },
    },
    refusals: [
      noSuchEndpoint,
      {
        when: `${secretsMax} of its secrets are valid: it was rotated too often within a day.`,
        error: new DomainError(
          'conflict',
          `${secretsMax} secrets of this endpoint are valid; wait until one has ended.`,
        ),
      },
    ],
  },
  {
    method: 'post',
    path: '/v1/webhook-endpoints/{endpointId}/enable',
    operationId: 'enableWebhookEndpoint',
    summary: 'Enable an endpoint again',
    description:
      'An endpoint that answers 410 is disabled: its `status` in the list says so. From now on ' +
      'it gets what is new; what was parked meanwhile can be replayed.',
    access: { scope: 'webhooks:write' },
    answers: {
      200: {
        description: 'The endpoint, enabled now or before.',
        content: json('WebhookEndpoint', example(jsonOf(endpoint))),
      },
    },
    refusals: [noSuchEndpoint],
  },
  {
    method: 'post',
    path: '/v1/webhook-endpoints/{endpointId}/test',
    operationId: 'testWebhookEndpoint',
    summary: 'Send a test to an endpoint',
    description: 'Queues one `webhook.test`. Ask for its delivery to see what became of it.',
    access: { scope: 'webhooks:write' },
    answers: {
      202: {
        description: 'The delivery.',
        content: json('WebhookDelivery', example(jsonOf(test))),
      },
    },
    refusals: [
      noSuchEndpoint,
      {
        when: 'The endpoint is disabled.',
        error: new DomainError(
          'conflict',
          'The endpoint answered 410 and is disabled; enable it first.',
        ),
      },
    ],
  },
  {
    method: 'get',
    path: '/v1/webhook-deliveries',
    operationId: 'listWebhookDeliveries',
    summary: 'List deliveries',
    description:
      'Newest first. A delivery is `pending` until it is `delivered`; after some three days of ' +
      'attempts it is `parked`, and can be replayed.',
    access: { scope: 'webhooks:write' },
    parameters: ['deliveryStatus', 'cursor', 'limit'],
    answers: {
      200: {
        description: 'A page.',
        content: json('WebhookDeliveryPage', pageExample(jsonOf(delivered))),
      },
    },
  },
  {
    method: 'post',
    path: '/v1/webhook-deliveries/{deliveryId}/replay',
    operationId: 'replayWebhookDelivery',
    summary: 'Replay a delivery',
    description:
      'Sends a delivery that is over once more, under its `webhook-id`, from the first attempt on.',
    access: { scope: 'webhooks:write' },
    answers: {
      202: {
        description: 'The delivery, queued again.',
        content: json('WebhookDelivery', example(jsonOf(pending))),
      },
    },
    refusals: [
      {
        when: 'There is no such delivery.',
        error: new DomainError('not_found', 'There is no such delivery.'),
      },
      {
        when: 'It is under way already, or its endpoint was removed.',
        error: new DomainError(
          'conflict',
          'The delivery is under way; there is nothing to replay.',
        ),
      },
    ],
  },
  {
    method: 'get',
    path: '/v1/webhook-secret',
    operationId: 'getWebhookSecret',
    summary: 'Get the webhook secret',
    description: "What signs the webhooks of this organisation's jobs (Standard Webhooks 1.0.0).",
    access: { scope: 'webhooks:write' },
    answers: {
      200: {
        description: 'The secret.',
        content: json('WebhookSecret', example({ secret })),
      },
    },
  },
]
