import type { AlertEvent } from '../../../domain/account/account-events.ts'
import { publicEventTypes } from '../../../domain/catalog.ts'
import type { PublicEventType } from '../../../domain/catalog.ts'
import type { JobEventView } from '../../../domain/job/job-view.ts'
import { alertPercents } from '../../../domain/account/alerts.ts'
import { limitKinds, limitScopes } from '../../../domain/account/limits.ts'
import { quotaWindows } from '../../../domain/account/limit-window.ts'
import { alertWebhook } from '../../../domain/webhook/alert-payload.ts'
import type {
  BalanceLowData,
  LimitReachedData,
  ReachedLimit,
} from '../../../domain/webhook/alert-payload.ts'
import { testEventType, webhookEventTypes } from '../../../domain/webhook/event-types.ts'
import {
  testWebhookBody,
  webhookBody,
  webhookBodyBytesMax,
} from '../../../domain/webhook/payload.ts'
import type { WebhookData, WebhookEvent } from '../../../domain/webhook/payload.ts'
import { deliveryStatuses } from '../../queries/list-webhook-deliveries.ts'
import type { WebhookDeliveryView } from '../../queries/list-webhook-deliveries.ts'
import type { WebhookEndpointView } from '../../queries/list-webhook-endpoints.ts'
import { webhookEndpointRequestSchema } from '../webhooks.controller.ts'
import { balanceAlert, deliveryId, endpointId, limitAlert } from './examples.ts'
import { orgId, transitions } from './examples.ts'
import type { Content, Operation, Parameter, PathItem } from './openapi.ts'
import { example, json } from './route.ts'
import { amount, choice, count, jsonOf, listOf, object, orNull, pageOf } from './schema.ts'
import { published, ref, text, time, url, uuid } from './schema.ts'
import type { Schema } from './schema.ts'

/** What each event means, for lists, streams, sockets and webhooks alike. */
export const eventMeanings: Readonly<Record<PublicEventType, string>> = {
  'job.queued': 'The job was accepted, and its credits are held.',
  'job.started': 'A worker began an attempt.',
  'job.step_completed': 'A durable step is done: it will be neither repeated nor paid again.',
  'job.retry_scheduled': 'An attempt ended early; the job waits for the next one.',
  'job.cancel_requested': 'A running job was asked to stop.',
  'job.succeeded': 'The job ended well, and its result is stored.',
  'job.failed': 'The job ended in an error that no further attempt follows.',
  'job.canceled': 'The job ended because you wanted it to.',
  'job.expired': 'The deadline passed before any attempt; nothing is charged.',
  'job.requeued': 'An ended job was put back in the queue.',
}

/** What an endpoint can hear of the account, if it asks for it. */
const alertMeanings = {
  'balance.low':
    'Of what was granted, or of a limit on spend, 50, 80 or 100 % are used; each is told once, ' +
    'and again only after a grant that brought the balance below it, or in the next day or month.',
  'limit.reached':
    'Of a limit on units, 50, 80 or 100 % are used, with what open jobs can still use; each is ' +
    'told once in a day or month.',
} as const

const percent: Schema = {
  ...{ type: 'integer', enum: alertPercents },
  description: 'What is used at least.',
}
const sequence = count('The revision of the account: drop what is lower than what you know.')

const alertSchemas: Readonly<Record<string, Schema>> = {
  BalanceLow: alertOf('balance.low', 'BalanceLowData'),
  BalanceLowData: object<BalanceLowData>('The money of the account, micro-credits.', {
    orgId: uuid('The organisation.'),
    percent,
    granted: orNull(
      amount('What 100 % is: the grants with something left at the last one, and the overdraft.'),
    ),
    posted: amount('What the account has.'),
    held: amount('What open jobs have reserved.'),
    overdraft: amount('How far it may go below zero.'),
    available: amount('posted − held + overdraft.'),
    limit: { anyOf: [ref('ReachedLimit'), { type: 'null' }], description: 'Null: the balance.' },
    sequence,
  }),
  LimitReached: alertOf('limit.reached', 'LimitReachedData'),
  LimitReachedData: object<LimitReachedData>('A limit and what is used of it.', {
    ...{ orgId: uuid('The organisation.'), percent, limit: ref('ReachedLimit'), sequence },
  }),
  ReachedLimit: object<ReachedLimit>('A limit as it was set, and how much of it is used.', {
    scope: choice(limitScopes, 'Whose use is counted.'),
    key: orNull(text('The user or provider who has used it.')),
    kind: choice(limitKinds, 'What is counted.'),
    window: choice(quotaWindows, 'Per what.'),
    unit: orNull(text('What is counted when the kind is units.')),
    max: { type: ['integer', 'string'], description: 'As it was set.' },
    used: amount('Units, or micro-credits when the kind is spend; open jobs included.'),
    windowStart: time('When the day or month began.'),
    resetAt: time('When the next one begins.'),
  }),
}

function alertOf(type: string, data: string): Schema {
  return {
    type: 'object',
    required: ['type', 'timestamp', 'data'],
    properties: {
      type: { const: type },
      timestamp: time('When it was reached.'),
      data: ref(data),
    },
  }
}

const secret = { type: 'string', pattern: '^whsec_[A-Za-z0-9+/]+=*$' } as const

const endpoint = {
  endpointId: uuid('The endpoint.'),
  url: text('What is called.'),
  events: listOf(choice(webhookEventTypes, 'An event.'), 'What it gets.'),
  status: choice(['enabled', 'disabled'], 'An endpoint that answers 410 is disabled.'),
  createdAt: time('When it was registered.'),
  disabledAt: orNull(time('When it answered 410.')),
}

export const webhookSchemas: Readonly<Record<string, Schema>> = {
  ...alertSchemas,
  WebhookEndpointRequest: published(webhookEndpointRequestSchema),
  WebhookEndpoint: object<WebhookEndpointView>('Where webhooks of an organisation go.', endpoint),
  NewWebhookEndpoint: object<WebhookEndpointView & { secret: string }>(
    'An endpoint and the secret that signs what it gets.',
    { ...endpoint, secret },
  ),
  WebhookEndpointPage: pageOf('WebhookEndpoint'),
  RotatedWebhookSecret: {
    type: 'object',
    required: ['endpointId', 'secret', 'previousSecretEndsAt'],
    properties: {
      endpointId: uuid('The endpoint.'),
      secret,
      previousSecretEndsAt: orNull(time('Until then the old secret signs as well.')),
    },
  },
  WebhookSecret: { type: 'object', required: ['secret'], properties: { secret } },
  WebhookDelivery: object<WebhookDeliveryView>('An event on its way to one receiver.', {
    deliveryId: text('The `webhook-id` of every attempt.'),
    endpointId: orNull(uuid('The endpoint; null for the webhook of a job.')),
    jobId: orNull(uuid('The job that it tells of; null for the account.')),
    url: text('Where it goes.'),
    type: text('What happened.'),
    sequence: count('The revision of the job, or of the account.'),
    status: choice(deliveryStatuses, 'Whether it has arrived, or is given up.'),
    attempts: count('Attempts that are over.'),
    nextAttemptAt: orNull(time('When the next one is due, while it is pending.')),
    lastStatus: orNull(count('What the receiver answered last.')),
    lastError: orNull(text('Why the last attempt failed, as a code.')),
    createdAt: time('When the first attempt was due.'),
  }),
  WebhookDeliveryPage: pageOf('WebhookDelivery'),
  WebhookTest: {
    type: 'object',
    required: ['type', 'timestamp', 'data'],
    properties: {
      type: { const: testEventType },
      timestamp: time('When it was asked for.'),
      data: {
        type: 'object',
        required: ['endpointId'],
        properties: { endpointId: uuid('The endpoint.') },
      },
    },
  },
  WebhookEvent: object<WebhookEvent>(
    `The body of a delivery, at most ${webhookBodyBytesMax} bytes: \`metadata\` is left out first.`,
    {
      type: choice(Object.values(publicEventTypes), 'What happened.'),
      timestamp: time('When it happened.'),
      data: ref('WebhookData'),
    },
  ),
  WebhookData: object<WebhookData>(
    'The job as it was after the event.',
    {
      jobId: uuid('The job.'),
      type: text('Its type.'),
      status: text('Its state.'),
      progress: { type: 'integer', minimum: 0, maximum: 100, description: 'How far it was.' },
      resultUrl: orNull(url('Its result, once it has one; needs your key.')),
      error: orNull(ref('JobError')),
      sequence: count(
        'The revision of the job. Deliveries can arrive out of order: drop those that are lower ' +
          'than what you know.',
      ),
      userId: orNull(text('Your user.')),
      metadata: { type: 'object', description: 'As you gave it.' },
    },
    ['metadata'],
  ),
}

const signatureHeaders: readonly Parameter[] = [
  {
    name: 'webhook-id',
    ...{ in: 'header', required: true },
    description: 'The same for every attempt: keep it to notice what you have already.',
    schema: text('The delivery.'),
    example: deliveryId,
  },
  {
    name: 'webhook-timestamp',
    ...{ in: 'header', required: true },
    description: 'When this attempt was made, in seconds since 1970. Refuse what is old.',
    schema: { type: 'integer' },
    example: 1_769_850_002,
  },
  {
    name: 'webhook-signature',
    ...{ in: 'header', required: true },
    description:
      'One or more signatures with spaces between them; one must match: `v1,` and the base64 ' +
      'HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`, with the bytes behind `whsec_` ' +
      '(base64) as the key.',
    schema: { type: 'string', pattern: '^v1,\\S+( v1,\\S+)*$' },
    example: 'v1,mX3vQ0cJm1r8yq4Tz7dN2sV9kLwEo5aHb6uFiG0pRxA=',
  },
]

/** One webhook per event. */
export const webhooks: Readonly<Record<string, PathItem>> = {
  ...Object.fromEntries(
    Object.values(publicEventTypes).map((type) => [type, { post: jobDelivery(type) }]),
  ),
  'balance.low': { post: alertDelivery('BalanceLow', balanceAlert) },
  'limit.reached': { post: alertDelivery('LimitReached', limitAlert) },
  [testEventType]: { post: testDelivery() },
}

function jobDelivery(type: PublicEventType): Operation {
  const known = transitions.find((transition) => transition.type === type)
  const content = json('WebhookEvent', known && example(bodyOf(known)))
  return deliveryOf(type, eventMeanings[type], content)
}

function alertDelivery(schema: string, event: AlertEvent): Operation {
  const webhook = alertWebhook(event, { orgId, sequence: 41 })
  const content = json(schema, example(jsonOf(webhook)))
  return deliveryOf(webhook.type, alertMeanings[webhook.type], content)
}

function testDelivery(): Operation {
  const body: unknown = JSON.parse(testWebhookBody(endpointId, '2026-01-31T10:12:44.090Z'))
  const meaning = 'You asked for it: it shows that the endpoint is reached.'
  return deliveryOf(testEventType, meaning, json('WebhookTest', example(jsonOf(body))))
}

function deliveryOf(type: string, description: string, content: Content): Operation {
  return {
    operationId: `on_${type.replace('.', '_')}`,
    ...{ tags: ['Webhooks'], summary: type, description, security: [] },
    parameters: signatureHeaders,
    requestBody: { required: true, content },
    responses: {
      '2XX': { description: 'Delivered.' },
      '410': {
        description: 'Nobody listens any more: the delivery is parked, and the endpoint disabled.',
      },
      default: {
        description: 'Anything else, redirects too, is tried again; `Retry-After` is honoured.',
      },
    },
  }
}

/** What is sent of a transition, made by what sends it. */
function bodyOf({ type, at, job }: JobEventView) {
  const { jobId, status, progress, result, error, revision: sequence, userId, metadata } = job
  const resultUrl = result && result.url
  const about = { jobId, type: job.type, status, progress, resultUrl, error, sequence }
  const body: unknown = JSON.parse(
    webhookBody({ type, timestamp: at, data: { ...about, userId, metadata } }),
  )
  return jsonOf(body)
}
