import type { Balance } from '../../queries/get-credits.ts'
import type { UsageSummary, UsageView } from '../../queries/list-usage.ts'
import { tokenRequestSchema, uploadRequestSchema } from '../account.controller.ts'
import { amount, count, listOf, object, orNull, pageOf, published, ref } from './schema.ts'
import { text, time, url, uuid } from './schema.ts'
import type { Schema } from './schema.ts'

const units: Schema = {
  type: 'object',
  additionalProperties: { type: 'string' },
  description: 'How much of what, e.g. `{ "images": "1" }`.',
}
const costNanoUsd = amount('What the provider takes, 10⁻⁹ US dollars.')
const chargedMicro = amount('What you paid, micro-credits.')

/** Schemas of what an organisation sees of itself. */
export const accountSchemas: Readonly<Record<string, Schema>> = {
  Balance: object<Balance>('Strings of micro-credits: 1,000,000 are one credit.', {
    orgId: uuid('The organisation.'),
    available: amount('What new jobs may hold: posted − held + overdraft.'),
    held: amount('Reserved by jobs that have not ended.'),
    posted: amount('Granted less charged.'),
    overdraft: amount('How far posted − held may fall below zero.'),
    currency: { const: 'credits' },
  }),
  Usage: object<UsageView>('One call to a provider: metered once, charged once.', {
    usageId: uuid('The same however often the call is reported.'),
    jobId: uuid('The job that made the call.'),
    userId: orNull(text('Your user, whose job it was.')),
    provider: text('Whom it went to.'),
    model: orNull(text('Which model answered.')),
    units,
    ms: count('How long it took, milliseconds.'),
    costNanoUsd,
    chargedMicro,
    priceVersion: count('The version of the price book by which it was charged.'),
    at: time('When it began.'),
  }),
  UsagePage: pageOf('Usage'),
  UsageSummary: object<UsageSummary>('The sums of calls that have something in common.', {
    key: orNull(text('What they have in common; null when the calls have none.')),
    calls: count('How many.'),
    units,
    ms: count('How long they took together, milliseconds.'),
    costNanoUsd,
    chargedMicro,
  }),
  UsageSummaryList: {
    type: 'object',
    required: ['items'],
    properties: { items: listOf(ref('UsageSummary'), 'The most expensive first.') },
  },
  TokenRequest: published(tokenRequestSchema),
  ClientToken: {
    type: 'object',
    required: ['token', 'expiresAt'],
    properties: { token: text('For a browser.'), expiresAt: time('When it ends.') },
  },
  UploadRequest: published(uploadRequestSchema),
  Upload: {
    type: 'object',
    description: 'One PUT of exactly what was asked for; it needs no key.',
    required: ['uploadId', 'url', 'method', 'headers', 'expiresAt'],
    properties: {
      uploadId: uuid('What a job names as its input, for 24 hours.'),
      url: url('Where the bytes go.'),
      method: { const: 'PUT' },
      headers: {
        type: 'object',
        additionalProperties: { type: 'string' },
        description: 'To be sent with the bytes.',
      },
      expiresAt: time('The PUT must begin before.'),
    },
  },
  StoredObject: {
    type: 'object',
    required: ['contentType', 'bytes', 'sha256'],
    properties: {
      contentType: text('The type of the bytes.'),
      bytes: count('How many.'),
      sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'Of the bytes, in hex.' },
    },
  },
  Status: {
    type: 'object',
    required: ['status'],
    properties: { status: { type: 'string', enum: ['ok', 'ready'] } },
  },
  PageSession: {
    type: 'object',
    required: ['token', 'orgId', 'expiresAt'],
    properties: {
      token: text('A client token for every job of the organisation.'),
      orgId: uuid('The organisation of the first start.'),
      expiresAt: time('When the token ends.'),
    },
  },
}
