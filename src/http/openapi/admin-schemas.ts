import { allScopes } from '../../../domain/account/account-events.ts'
import { grantKinds } from '../../../domain/account/burn.ts'
import { priceUnits } from '../../../domain/pricing/price-book.ts'
import { auditActions } from '../../../projections/audit.ts'
import type { IssuedApiKey } from '../../commands/issue-api-key.ts'
import type { HoldView, OrgView } from '../../queries/admin-lists.ts'
import type { AuditView } from '../../queries/list-audit.ts'
import type { OrgJobView } from '../../queries/list-jobs.ts'
import {
  adjustmentRequestSchema,
  grantRequestSchema,
  keyRequestSchema,
  orgRequestSchema,
  pricesRequestSchema,
} from '../admin-bodies.ts'
import { jobMembers } from './job-schemas.ts'
import { standingMembers } from './limit-schemas.ts'
import { amount, choice, listOf, object, orNull, pageOf, published, ref } from './schema.ts'
import { text, time, uuid } from './schema.ts'
import type { Schema } from './schema.ts'

const orgId = uuid('The organisation.')
const overdraft = amount('How far posted − held may fall below zero, micro-credits.')
const money = {
  available: amount('What new jobs may hold, micro-credits.'),
  held: amount('Reserved by jobs that have not ended, micro-credits.'),
  posted: amount('Granted less charged, micro-credits.'),
  overdraft,
}
const { status } = standingMembers

const stateOr = (description: string): Schema => ({ type: ['object', 'null'], description })

/** Schemas of the admin's requests and answers. */
export const adminSchemas: Readonly<Record<string, Schema>> = {
  OrgRequest: published(orgRequestSchema),
  OrgCreated: {
    type: 'object',
    required: ['orgId', 'name', 'overdraft', 'status'],
    properties: { orgId, name: text('As it was given.'), overdraft, status },
  },
  Org: object<OrgView>('An organisation and its money.', {
    ...{ orgId, name: text('As it was given.'), status, ...money },
    createdAt: time('When it was opened.'),
  }),
  OrgPage: pageOf('Org'),
  OrgDetails: {
    type: 'object',
    description: 'An organisation with all that belongs to it.',
    required: ['orgId', 'name', ...Object.keys(standingMembers), 'balance', 'grants', 'keys'],
    properties: {
      ...{ orgId, name: text('As it was given.'), ...standingMembers },
      balance: { type: 'object', required: Object.keys(money), properties: money },
      grants: listOf(ref('OpenGrant'), 'With something left, in the order in which they are used.'),
      keys: listOf(ref('ApiKey'), 'Those that are in force.'),
    },
  },
  OpenGrant: {
    type: 'object',
    required: ['grantId', 'kind', 'amount', 'remaining', 'priority', 'effectiveAt', 'expiresAt'],
    properties: {
      grantId: uuid('The grant.'),
      kind: choice(grantKinds, 'Where the credits came from.'),
      amount: amount('What was given, micro-credits.'),
      remaining: amount('What is left, micro-credits.'),
      priority: { type: 'integer', description: 'Lower ones are used up first.' },
      effectiveAt: time('When it was given.'),
      expiresAt: orNull(time('When the rest is gone.')),
    },
  },
  ApiKey: {
    type: 'object',
    required: ['keyId', 'name', 'scopes', 'issuedAt'],
    properties: {
      keyId: text('The key, without its secret.'),
      name: text('As it was given.'),
      scopes: listOf(choice(allScopes, 'A scope.'), 'What it may do.'),
      issuedAt: time('When it was made.'),
    },
  },
  KeyRequest: published(keyRequestSchema),
  IssuedKey: object<IssuedApiKey>('A new API key.', {
    keyId: text('The key, without its secret.'),
    apiKey: {
      ...{ type: 'string', pattern: '^weir_live_[0-9A-Za-z]+_[0-9A-Za-z]+_[0-9A-Za-z]+$' },
      description: 'The whole key. It is shown here and never again: only a hash is kept.',
    },
  }),
  GrantRequest: published(grantRequestSchema),
  Grant: {
    type: 'object',
    required: ['orgId', 'amount', 'grantId', 'kind', 'reason', 'priority', 'expiresAt'],
    properties: {
      orgId,
      amount: amount('Micro-credits.'),
      grantId: uuid('The grant.'),
      kind: choice(grantKinds, 'Where the credits come from.'),
      reason: text('As it was given.'),
      priority: { type: 'integer', description: 'Lower ones are used up first.' },
      expiresAt: orNull(time('When the rest is gone.')),
    },
  },
  AdjustmentRequest: published(adjustmentRequestSchema),
  Adjustment: {
    type: 'object',
    required: ['adjustmentId', 'orgId', 'amount', 'reason'],
    properties: {
      adjustmentId: uuid('The adjustment.'),
      orgId,
      amount: amount('Micro-credits; negative ones were taken.'),
      reason: text('As it was given.'),
    },
  },
  AuditEntry: object<AuditView>('An act of somebody who administrates.', {
    auditId: uuid('The event that the act left.'),
    orgId: orNull(uuid('The organisation; null for what belongs to the installation.')),
    at: time('When.'),
    actor: text('Who: `admin:` and the operator, or `system:` and what did it.'),
    action: choice(auditActions, 'What.'),
    details: { type: 'object', description: 'What it was about: ids and amounts.' },
    reason: orNull(text('Why, as it was given.')),
    before: stateOr('How it was; null when there was nothing, or when it is not known.'),
    after: stateOr('How it is since then.'),
  }),
  AuditPage: pageOf('AuditEntry'),
  Hold: object<HoldView>('Credits that are reserved for a job.', {
    orgId,
    holdId: text('The hold: the id of its job, with `/1`, `/2`, … behind it after retries.'),
    jobId: uuid('The job.'),
    amount: amount('What remains of it, micro-credits.'),
    heldAt: time('When it was made.'),
    expiresAt: time('When it ends at the latest.'),
  }),
  HoldPage: pageOf('Hold'),
  OrgJob: object<OrgJobView>('A job, and whose it is.', { orgId, ...jobMembers }),
  OrgJobPage: pageOf('OrgJob'),
  PricesRequest: published(pricesRequestSchema),
  PriceVersion: {
    type: 'object',
    description: 'A version of the price book. Jobs are charged by the one that admitted them.',
    required: ['version', 'effectiveAt', 'prices'],
    properties: {
      version: { type: 'integer', minimum: 1, description: 'Counts up, without holes.' },
      effectiveAt: time('In force from then on.'),
      prices: listOf(ref('Price'), 'All of them: a version replaces the one before.'),
    },
  },
  Price: {
    type: 'object',
    required: ['provider', 'model', 'unit', 'costUsd', 'priceCredits'],
    properties: {
      provider: text('Whom the calls go to.'),
      model: orNull(text('Null: every model without a line of its own.')),
      unit: choice(priceUnits, 'What is counted.'),
      costUsd: text('What the provider takes per unit, a decimal number of US dollars.'),
      priceCredits: text('What customers pay per unit, a decimal number of credits.'),
    },
  },
  PriceVersionPage: pageOf('PriceVersion'),
}
