import { apiKeysMax } from '../../../domain/account/api-keys.ts'
import { DomainError } from '../../../domain/errors.ts'
import type { JsonObject } from '../../../domain/json.ts'
import { admissionRefusals } from './admission-refusals.ts'
import { apiKey, balance, jobId, keyId, orgId, queuedJob, succeededJob } from './examples.ts'
import { standingRoutes } from './limit-routes.ts'
import type { Refusal } from './problems.ts'
import type { Route } from './route.ts'
import { example, json, pageExample } from './route.ts'
import { jsonOf } from './schema.ts'

const grantId = '019b8d2c-0f31-74d2-8e65-b1a7c3f9502d'
const openedAt = '2026-01-05T08:00:00.000Z'
const heldAt = '2026-01-31T09:00:00.120Z'

const noSuchOrg: Refusal = {
  when: 'There is no such organisation.',
  error: new DomainError('not_found', 'There is no such organisation.'),
}
const cannotTake: Refusal = {
  when: 'More would be taken than there is.',
  error: new DomainError(
    'insufficient_credits',
    'This needs 500000 micro-credits; 20000 are available, 0 are held.',
    { required: '500000', available: '20000', held: '0' },
  ),
}

const { available, held, posted, overdraft } = balance
const money = { available, held, posted, overdraft }
const key = { keyId, name: 'web shop', scopes: ['jobs:write', 'jobs:read'], issuedAt: openedAt }
const priceLine = { provider: 'weir', model: null, unit: 'images' }
const prices = [{ ...priceLine, costUsd: '0', priceCredits: '0.05' }]
const auditEntry: JsonObject = {
  ...{ auditId: '019c2b60-4a5d-7c83-b1f0-62e9d7a30c14', orgId, at: heldAt, actor: 'admin:owner' },
  ...{ action: 'credits.granted', reason: 'invoice 7' },
  details: { grantId, kind: 'purchase', amount: '5000000', priority: 100, expiresAt: null },
  ...{ before: { posted: '99950000' }, after: { posted: '104950000' } },
}
const priceVersion: JsonObject = { version: 1, effectiveAt: openedAt, prices }

/** Organisations and their keys. */
const orgRoutes: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/admin/orgs',
    operationId: 'createOrg',
    summary: 'Create an organisation',
    description: 'It begins without credits and without a key.',
    access: { role: 'owner' },
    body: { required: true, content: json('OrgRequest', example({ name: 'Shop' })) },
    answers: {
      201: {
        description: 'The organisation.',
        content: json(
          'OrgCreated',
          example({ orgId, name: 'Shop', overdraft: '0', status: 'active' }),
        ),
      },
    },
  },
  {
    method: 'get',
    path: '/v1/admin/orgs',
    operationId: 'listOrgs',
    summary: 'List organisations',
    description: 'Newest first, with their money. A read model: it may lag.',
    access: { role: 'viewer' },
    parameters: ['cursor', 'limit'],
    answers: {
      200: {
        description: 'A page.',
        content: json(
          'OrgPage',
          pageExample({ orgId, name: 'Shop', status: 'active', ...money, createdAt: openedAt }),
        ),
      },
    },
  },
  {
    method: 'get',
    path: '/v1/admin/orgs/{orgId}',
    operationId: 'getOrg',
    summary: 'Get an organisation',
    description: 'With its balance, grants and keys, as they are now.',
    access: { role: 'viewer' },
    answers: {
      200: {
        description: 'The organisation.',
        content: json(
          'OrgDetails',
          example({
            ...{ orgId, name: 'Shop', status: 'active', throttle: null, limits: [] },
            balance: money,
            grants: [
              {
                ...{ grantId, kind: 'promo', priority: 100, effectiveAt: openedAt },
                ...{ expiresAt: null, amount: available, remaining: available },
              },
            ],
            keys: [key],
          }),
        ),
      },
    },
    refusals: [noSuchOrg],
  },
  {
    method: 'post',
    path: '/v1/admin/orgs/{orgId}/keys',
    operationId: 'issueApiKey',
    summary: 'Make an API key',
    description:
      'The key is shown in this answer and never again. To rotate, make a second one, use it ' +
      'everywhere, then revoke the first.',
    access: { role: 'support' },
    body: {
      required: false,
      content: json('KeyRequest', example({ name: key.name, scopes: key.scopes })),
    },
    answers: {
      201: { description: 'The key.', content: json('IssuedKey', example({ keyId, apiKey })) },
    },
    refusals: [
      noSuchOrg,
      {
        when: `The organisation has ${apiKeysMax} keys already.`,
        error: new DomainError(
          'conflict',
          `An organisation has at most ${apiKeysMax} live API keys.`,
        ),
      },
    ],
  },
  {
    method: 'delete',
    path: '/v1/admin/orgs/{orgId}/keys/{keyId}',
    operationId: 'revokeApiKey',
    summary: 'Revoke an API key',
    description: 'Requests that start after the answer are refused; its sockets close within 5 s.',
    access: { role: 'support' },
    answers: { 204: { description: 'It is revoked, now or before.' } },
    refusals: [
      {
        when: 'There is no such organisation, or it never had such a key.',
        error: new DomainError('not_found', 'There is no such API key.'),
      },
    ],
  },
]

/** Credits, holds and prices. */
const moneyRoutes: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/admin/orgs/{orgId}/grants',
    operationId: 'grantCredits',
    summary: 'Give credits',
    description:
      'Grants are used up by priority, then the one that ends first, then promotions before what ' +
      'was paid for. A debt is paid first.',
    access: { role: 'finance' },
    body: {
      required: true,
      content: json(
        'GrantRequest',
        example({ amount: '10000000', kind: 'promo', reason: 'welcome' }),
      ),
    },
    answers: {
      201: {
        description: 'The grant.',
        content: json(
          'Grant',
          example({
            ...{ orgId, amount: '10000000', grantId, kind: 'promo', reason: 'welcome' },
            ...{ priority: 100, expiresAt: null },
          }),
        ),
      },
    },
    refusals: [noSuchOrg],
  },
  {
    method: 'post',
    path: '/v1/admin/orgs/{orgId}/adjustments',
    operationId: 'adjustCredits',
    summary: 'Correct a balance',
    description: 'A positive amount gives, a negative one takes from what is available.',
    access: { role: 'finance' },
    body: {
      required: true,
      content: json(
        'AdjustmentRequest',
        example({ amount: '-500000', reason: 'booked twice on 30 January' }),
      ),
    },
    answers: {
      201: {
        description: 'The adjustment.',
        content: json(
          'Adjustment',
          example({
            ...{ adjustmentId: grantId, orgId, amount: '-500000' },
            reason: 'booked twice on 30 January',
          }),
        ),
      },
    },
    refusals: [cannotTake, noSuchOrg],
  },
  {
    method: 'get',
    path: '/v1/admin/audit',
    operationId: 'listAudit',
    summary: 'List what operators did',
    description:
      'Who did what, why, before and after, newest first: organisations, keys, credits, limits, ' +
      'bans, prices, retries and operators. Balances are what was posted, micro-credits. A read ' +
      'model: it may lag.',
    access: { role: 'viewer' },
    parameters: ['ofOrg', 'from', 'to', 'cursor', 'limit'],
    answers: {
      200: { description: 'A page.', content: json('AuditPage', pageExample(auditEntry)) },
    },
  },
  {
    method: 'get',
    path: '/v1/admin/holds',
    operationId: 'listHolds',
    summary: 'List open holds',
    description: 'What jobs reserve, newest first. A read model: it may lag.',
    access: { role: 'viewer' },
    parameters: ['ofOrg', 'cursor', 'limit'],
    answers: {
      200: {
        description: 'A page.',
        content: json(
          'HoldPage',
          pageExample({
            ...{ orgId, holdId: jobId, jobId, amount: queuedJob.credits.held, heldAt },
            expiresAt: '2027-02-01T09:00:00.120Z',
          }),
        ),
      },
    },
  },
  {
    method: 'get',
    path: '/v1/admin/prices',
    operationId: 'listPrices',
    summary: 'List the versions of the price book',
    description: 'All of them, newest first.',
    access: { role: 'viewer' },
    answers: {
      200: {
        description: 'The versions.',
        content: json('PriceVersionPage', pageExample(priceVersion)),
      },
    },
  },
  {
    method: 'put',
    path: '/v1/admin/prices',
    operationId: 'publishPrices',
    summary: 'Publish prices',
    description:
      'A new version of the whole price book. Jobs that were admitted before are charged by ' +
      'theirs to the end.',
    access: { role: 'finance' },
    body: {
      required: true,
      content: json('PricesRequest', example({ prices, reason: 'first prices' })),
    },
    answers: {
      200: {
        description: 'The version.',
        content: json('PriceVersion', example(priceVersion)),
      },
    },
    refusals: [
      {
        when: 'Somebody else published at the same moment.',
        error: new DomainError('conflict', 'Somebody else has just published prices; look again.'),
      },
    ],
  },
]

/** Jobs of every organisation. */
const jobRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/admin/jobs',
    operationId: 'listAllJobs',
    summary: 'List jobs of all organisations',
    description: 'Newest first. A read model: it may lag.',
    access: { role: 'viewer' },
    parameters: ['ofOrg', 'status', 'type', 'userId', 'from', 'to', 'cursor', 'limit'],
    answers: {
      200: {
        description: 'A page.',
        content: json('OrgJobPage', pageExample(jsonOf({ orgId, ...succeededJob }))),
      },
    },
  },
  {
    method: 'post',
    path: '/v1/admin/jobs/{jobId}/retry',
    operationId: 'retryAnyJob',
    summary: 'Retry a job of any organisation',
    description: 'As `POST /v1/jobs/{jobId}/retry`; the organisation pays.',
    access: { role: 'support' },
    answers: { 202: { description: 'The job, queued again.', content: json('Job') } },
    refusals: [
      ...admissionRefusals,
      {
        when: 'The job has not ended, or it succeeded.',
        error: new DomainError('conflict', 'A job that is succeeded cannot be retried.'),
      },
    ],
  },
]

export const adminRoutes: readonly Route[] = [
  ...orgRoutes,
  ...standingRoutes,
  ...moneyRoutes,
  ...jobRoutes,
]
