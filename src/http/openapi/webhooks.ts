import { publicEventTypes } from '../../../domain/catalog.ts'
import type { PublicEventType } from '../../../domain/catalog.ts'
import type { JobEventView } from '../../../domain/job/job-view.ts'
import { webhookBody, webhookBodyBytesMax } from '../../../domain/webhook/payload.ts'
import type { WebhookData, WebhookEvent } from '../../../domain/webhook/payload.ts'
import { transitions } from './examples.ts'
import type { Operation, Parameter, PathItem } from './openapi.ts'
import { example } from './route.ts'
import { choice, count, jsonOf, object, orNull, ref, text, time, url, uuid } from './schema.ts'
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

export const webhookSchemas: Readonly<Record<string, Schema>> = {
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
    schema: uuid('The delivery.'),
    example: '8c0e5f52-1d0c-5d8e-9a43-2f7b60d1c9e4',
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
export const webhooks: Readonly<Record<string, PathItem>> = Object.fromEntries(
  Object.values(publicEventTypes).map((type) => [type, { post: deliveryOf(type) }]),
)

function deliveryOf(type: PublicEventType): Operation {
  const known = transitions.find((transition) => transition.type === type)
  const examples = known ? { examples: example(bodyOf(known)) } : {}
  return {
    operationId: `on_${type.replace('.', '_')}`,
    tags: ['Webhooks'],
    summary: type,
    description: eventMeanings[type],
    security: [],
    parameters: signatureHeaders,
    requestBody: {
      required: true,
      content: { 'application/json': { schema: ref('WebhookEvent'), ...examples } },
    },
    responses: {
      '2XX': { description: 'Delivered.' },
      '410': { description: 'Nobody listens any more: the delivery is given up.' },
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
