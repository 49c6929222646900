import type { JsonObject } from '../../../domain/json.ts'
import { DomainError, invalid } from '../../../domain/errors.ts'
import { orgId } from './examples.ts'
import type { Refusal } from './problems.ts'
import type { Route, RouteAnswer } from './route.ts'
import { example, json } from './route.ts'

const noSuchOrg: Refusal = {
  when: 'There is no such organisation.',
  error: new DomainError('not_found', 'There is no such organisation.'),
}

const perMinute = { scope: 'org', key: null, kind: 'requests', window: 'minute', max: 600 }
const perMonth = { scope: 'org', key: null, kind: 'spend', window: 'month', max: '500000000' }
const rest = { unit: null, until: null }
const limits = [
  { ...perMinute, ...rest },
  { ...perMonth, ...rest, used: '50000' },
]
const active: JsonObject = { orgId, status: 'active', throttle: null, limits }
const throttle = { requestsPerMinute: 10, reason: 'a loop at the customer', until: null }

function standing(now: JsonObject): RouteAnswer {
  return { description: 'What is in force now.', content: json('Standing', example(now)) }
}

/** What an organisation sees of its limits. */
export const limitRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/limits',
    operationId: 'getLimits',
    summary: 'Get the limits',
    description:
      'How much your organisation may submit. What a request was counted for stands in the ' +
      '`RateLimit` headers of its answer; beyond that comes 429.',
    access: { scope: 'billing:read' },
    answers: { 200: standing(active) },
  },
]

/** What operators do about it. */
export const standingRoutes: readonly Route[] = [
  {
    method: 'put',
    path: '/v1/admin/orgs/{orgId}/limits',
    operationId: 'setLimits',
    summary: 'Set limits',
    description:
      'All limits of an organisation, instead of those it has. An override with `until` comes ' +
      'before a lasting limit, and one for a certain user before one for each.',
    access: { role: 'support' },
    body: {
      required: true,
      content: json(
        'LimitsRequest',
        example({
          limits: [
            { scope: 'org', kind: 'requests', window: 'minute', max: 600 },
            { scope: 'org', kind: 'spend', window: 'month', max: '500000000' },
          ],
          reason: 'the contract of January',
        }),
      ),
    },
    answers: { 200: standing(active) },
    refusals: [
      {
        when: 'The body does not have the form that is described here, or its limits contradict.',
        error: invalid('invalid_request', [
          { pointer: '/limits/0/window', detail: 'is required for requests' },
        ]),
      },
      noSuchOrg,
    ],
  },
  {
    method: 'post',
    path: '/v1/admin/orgs/{orgId}/throttle',
    operationId: 'throttleOrg',
    summary: 'Throttle an organisation',
    description: 'A brake on all that it submits; 429 `account_throttled` beyond.',
    access: { role: 'support' },
    body: {
      required: true,
      content: json(
        'ThrottleRequest',
        example({ requestsPerMinute: throttle.requestsPerMinute, reason: throttle.reason }),
      ),
    },
    answers: { 200: standing({ ...active, status: 'throttled', throttle }) },
    refusals: [noSuchOrg],
  },
  {
    method: 'post',
    path: '/v1/admin/orgs/{orgId}/ban',
    operationId: 'banOrg',
    summary: 'Ban an organisation',
    description:
      'It submits nothing more (403 `account_banned`), and its sockets close. What it has stays ' +
      'readable.',
    access: { role: 'support' },
    body: { required: true, content: json('ReasonRequest', example({ reason: 'fraud' })) },
    answers: { 200: standing({ ...active, status: 'banned' }) },
    refusals: [noSuchOrg],
  },
  {
    method: 'post',
    path: '/v1/admin/orgs/{orgId}/reinstate',
    operationId: 'reinstateOrg',
    summary: 'Reinstate an organisation',
    description: 'Ends its ban and its throttle. Its limits stay.',
    access: { role: 'support' },
    body: { required: true, content: json('ReasonRequest', example({ reason: 'settled' })) },
    answers: { 200: standing(active) },
    refusals: [noSuchOrg],
  },
]
