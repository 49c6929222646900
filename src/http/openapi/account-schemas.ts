import { grantKinds } from '../../../domain/account/burn.ts'
import { entryKinds, ledgerAccounts } from '../../../domain/ledger/ledger.ts'
import type { Balance } from '../../queries/get-credits.ts'
import { pastTimes } from '../../queries/ledger.ts'
import type { LedgerView, PastBalance } from '../../queries/ledger.ts'
import type { UsageSummary, UsageView } from '../../queries/list-usage.ts'
import { tokenRequestSchema, uploadRequestSchema } from '../account.controller.ts'
import { amount, choice, count, listOf, object, orNull, pageOf, published, ref } from './schema.ts'
import { text, time, url, uuid } from './schema.ts'
import type { Schema } from './schema.ts'

const units: Schema = {
  type: 'object',
  additionalProperties: { type: 'string' },
  description: 'How much of what, e.g. `{ "images": "1" }`.',
}
const costNanoUsd = amount('What the provider takes, 10⁻⁹ US dollars.')
const chargedMicro = amount('What you paid, micro-credits.')

const balanceMembers = {
  orgId: uuid('The organisation.'),
  available: amount('What new jobs may hold: posted − held + overdraft.'),
  held: amount('Reserved by jobs that have not ended.'),
  posted: amount('Granted less charged.'),
  overdraft: amount('How far posted − held may fall below zero.'),
  currency: { const: 'credits' },
} as const

/** Schemas of what an organisation sees of itself. */
export const accountSchemas: Readonly<Record<string, Schema>> = {
  Balance: object<Balance>('Strings of micro-credits: 1,000,000 are one credit.', balanceMembers),
  PastBalance: object<PastBalance>('What the balance was.', {
    ...balanceMembers,
    asOf: time('When.'),
    by: choice(pastTimes, 'Which of the two times of an entry counts.'),
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
  LedgerEntry: object<LedgerView>('A line of the books. Amounts are micro-units.', {
    seq: count('Counts the entries of the organisation from 1, without holes.'),
    tx_id: uuid('The transaction: its entries sum to zero in each currency.'),
    entry_id: text('The id of this entry.'),
    booked_at_utc: time('When it happened.'),
    recorded_at_utc: time('When the log took it.'),
    org_id: uuid('The organisation.'),
    user_id: orNull(text('Your user, whose job it was.')),
    account: choice(ledgerAccounts, 'The account that it moves.'),
    kind: choice(entryKinds, 'What happened.'),
    direction: choice(['debit', 'credit'], 'A credit raises the account, a debit lowers it.'),
    amount_micro: amount('How much; never negative.'),
    currency: choice(['CREDIT', 'USD'], 'Micro-credits, or micro-USD.'),
    balance_after_micro: amount('What the account holds after this entry.'),
    held_after_micro: amount('The sum of open holds after the transaction.'),
    grant_id: orNull(text('The grant that it gave to or took from.')),
    grant_kind: orNull(choice(grantKinds, 'What kind of grant that is.')),
    job_id: orNull(text('The job that it is about.')),
    call_id: orNull(text('The call: its `usageId`.')),
    provider: orNull(text('Whom the call went to.')),
    model: orNull(text('Which model answered.')),
    units_in: orNull(amount('Input tokens, or the first unit of a call that has none.')),
    units_out: orNull(amount('Output tokens.')),
    ms: orNull(count('How long the call took. Measures stand on its first entry alone.')),
    price_version: orNull(count('The version of the price book by which it was charged.')),
    cost_nano_usd: orNull(amount('What the provider takes, 10⁻⁹ US dollars.')),
    reason: orNull(text('Why.')),
    actor: text('Who did it.'),
    source: text('From which side: key, admin, worker or system.'),
    stripe_ref: orNull(text('The payment behind it.')),
    corrects_entry_id: orNull(text('The entry that it corrects.')),
    prev_hash: text('The hash of the event before, in the chain of the account.'),
    hash: text('The hash of the event: SHA-256 over the one before and its canonical form.'),
  }),
  LedgerPage: pageOf('LedgerEntry'),
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
