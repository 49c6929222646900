import { jobStatuses } from '../../queries/list-jobs.ts'
import { pastTimes } from '../../queries/ledger.ts'
import { usageGroups } from '../../queries/list-usage.ts'
import { deliveryStatuses } from '../../queries/list-webhook-deliveries.ts'
import { limitDefault, limitMax } from '../paging.ts'
import { waitSecondsMax } from '../prefer.ts'
import { deliveryId, endpointId, jobId, keyId, orgId } from './examples.ts'
import type { Parameter } from './openapi.ts'
import { choice, time } from './schema.ts'

const filterText = { type: 'string', maxLength: 256 } as const

const query = (name: string, description: string, schema: Parameter['schema']): Parameter => ({
  ...{ name, in: 'query', description, schema },
})

const path = (name: string, description: string, example: string): Parameter => ({
  ...{ name, in: 'path', required: true, description, schema: { type: 'string' }, example },
})

/** Every parameter there is, by the name of its component. */
export const parameters = {
  jobId: path('jobId', 'The id of the job, a UUID.', jobId),
  orgId: path('orgId', 'The id of the organisation, a UUID.', orgId),
  keyId: path(
    'keyId',
    'The id of the API key: what stands between its second and third `_`.',
    keyId,
  ),
  endpointId: path('endpointId', 'The id of the endpoint, a UUID.', endpointId),
  deliveryId: path('deliveryId', 'The `webhook-id` of the delivery.', deliveryId),
  objectKey: path(
    'objectKey',
    'Where the object is; may hold slashes.',
    `results/${jobId}/1/image.jpeg`,
  ),

  status: query('status', 'Only jobs in this state.', choice(jobStatuses, 'A state.')),
  deliveryStatus: query(
    'status',
    'Only deliveries in this state.',
    choice(deliveryStatuses, 'A state.'),
  ),
  type: query('type', 'Only jobs of this type.', filterText),
  userId: query('userId', 'Only what belongs to this user of yours.', filterText),
  ofJob: query('jobId', 'Only calls of this job.', filterText),
  provider: query('provider', 'Only calls to this provider.', filterText),
  ofOrg: query('orgId', 'Only what belongs to this organisation.', filterText),
  from: query(
    'from',
    'From this time on, inclusive; ISO 8601. Without a zone it is UTC.',
    time('Inclusive.'),
  ),
  to: query('to', 'Until this time, exclusive; ISO 8601.', time('Exclusive.')),
  groupBy: query('groupBy', 'What the sums are made by.', {
    ...choice(usageGroups, 'A property of a call.'),
    default: 'provider',
  }),
  asOf: query(
    'asOf',
    'The balance as it was then, that very moment included; ISO 8601.',
    time('A moment of the past.'),
  ),
  by: query('by', 'Whether the moment is one of what happened, or of what the log knew.', {
    ...choice(pastTimes, 'Which of the two times of an entry counts.'),
    default: 'booked',
  }),
  cursor: query(
    'cursor',
    'Where the page begins: `nextCursor` of the page before. It belongs to its filters; with ' +
      'others it is refused. What is inserted in the meantime neither repeats nor hides an item.',
    filterText,
  ),
  limit: query('limit', 'Items per page.', {
    ...{ type: 'integer', minimum: 1, maximum: limitMax, default: limitDefault },
  }),
  after: query('after', 'Only what came after this revision; -1 is everything.', {
    ...{ type: 'integer', minimum: -1, default: -1 },
  }),

  'Idempotency-Key': {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      'Makes the request happen once, however often it is sent. Choose a new one for each new ' +
      'request, e.g. a UUID. See [Idempotency](#idempotency).',
    schema: { type: 'string', pattern: '^[ -~]{1,255}$' },
    example: 'order-1042-photo-7',
  },
  Prefer: {
    name: 'Prefer',
    in: 'header',
    description:
      `\`wait=N\`: answer when the job has ended, or after N seconds, ${waitSecondsMax} at most ` +
      '(RFC 7240).',
    schema: { type: 'string', pattern: 'wait="?\\d{1,5}"?' },
    example: 'wait=10',
  },
  'Last-Event-ID': {
    name: 'Last-Event-ID',
    in: 'header',
    description:
      'For event streams: the last revision that you know. Browsers send it by themselves when ' +
      'they reconnect. It goes before `after`.',
    schema: { type: 'integer', minimum: -1 },
    example: 1,
  },
} as const satisfies Readonly<Record<string, Parameter>>

export type ParameterName = keyof typeof parameters
