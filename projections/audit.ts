import type { AccountEvent, StoredStanding } from '../domain/account/account-events.ts'
import type { Recorded } from '../domain/catalog.ts'
import type { JsonObject } from '../domain/json.ts'
import { defineTable } from './projection.ts'
import type { Handlers, Projection, Rows } from './projection.ts'

/** One act of somebody who administrates: who did what, why, before and after. */
export type AuditEntryRow = {
  /** The event. */
  readonly auditId: string
  /** Null for what belongs to no org. */
  readonly orgId: string | null
  readonly at: string
  readonly actor: string
  readonly action: AuditAction
  /** What it was about: ids, amounts. */
  readonly details: JsonObject
  readonly reason: string | null
  /** Null when there was nothing, or when the event is older than the telling of it. */
  readonly before: JsonObject | null
  readonly after: JsonObject | null
}

/** What can be done, as operators read it. The names are a contract. */
export const auditActions = [
  'org.created',
  'key.issued',
  'key.revoked',
  'credits.granted',
  'credits.revoked',
  'limits.set',
  'account.throttled',
  'account.banned',
  'account.reinstated',
  'prices.published',
  'job.retried',
  'operator.registered',
  'operator.password_set',
  'operator.signed_in',
  'operator.signed_out',
] as const
export type AuditAction = (typeof auditActions)[number]

export const auditEntryTable = defineTable<AuditEntryRow>({
  name: 'audit_entry',
  key: 'auditId',
  columns: {
    auditId: 'text',
    orgId: 'text',
    at: 'time',
    actor: 'text',
    action: 'text',
    details: 'json',
    reason: 'text',
    before: 'json',
    after: 'json',
  },
  appendOnly: true,
})

/** What an event tells that its envelope does not. */
type Told = Pick<AuditEntryRow, 'details' | 'before' | 'after'> & { readonly reason?: string }

function enter(event: Recorded, rows: Rows, action: AuditAction, told: Told): void {
  const { id: auditId, meta } = event
  const { at, actor } = meta
  const reason = told.reason ?? null
  // Prices and operators belong to the installation.
  const orgId = event.stream.startsWith('account-') || isOfJob(event) ? meta.orgId : null
  rows.put(auditEntryTable, { auditId, orgId, at, actor, action, ...told, reason })
}

const isOfJob = ({ stream }: Recorded): boolean => stream.startsWith('job-')

type Moved = { readonly postedBeforeMicro?: string; readonly postedAfterMicro?: string }

function balances({ postedBeforeMicro, postedAfterMicro }: Moved) {
  const of = (posted: string | undefined) => (posted === undefined ? null : { posted })
  return { before: of(postedBeforeMicro), after: of(postedAfterMicro) }
}

const accountHandlers: Handlers = {
  AccountOpened: (event, rows) => {
    const { name, overdraftMicro: overdraft } = event.data
    enter(event, rows, 'org.created', { details: {}, before: null, after: { name, overdraft } })
  },
  ApiKeyIssued: (event, rows) => {
    const { keyId, name, scopes } = event.data
    const after = { name, scopes }
    enter(event, rows, 'key.issued', { details: { keyId }, before: null, after })
  },
  ApiKeyRevoked: (event, rows) => {
    const { keyId } = event.data
    enter(event, rows, 'key.revoked', { details: { keyId }, before: null, after: null })
  },
  CreditsGranted: (event, rows) => {
    const { grantId, kind, amountMicro: amount, priority, expiresAt, reason } = event.data
    const details = { grantId, kind, amount, priority, expiresAt }
    enter(event, rows, 'credits.granted', { details, reason, ...balances(event.data) })
  },
  CreditsRevoked: (event, rows) => {
    const { revocationId, kind, amountMicro: amount, reason } = event.data
    const details = { revocationId, kind, amount }
    enter(event, rows, 'credits.revoked', { details, reason, ...balances(event.data) })
  },
  LimitsSet: (event, rows) => {
    const { limits, previous, reason } = event.data
    const change = { before: { limits: previous }, after: { limits } }
    enter(event, rows, 'limits.set', { details: {}, reason, ...change })
  },
}

type StandingChange = Recorded<
  Extract<AccountEvent, { type: 'AccountThrottled' | 'AccountBanned' | 'AccountReinstated' }>
>

function changeStanding(event: StandingChange, rows: Rows): void {
  const { reason, previous: before = null } = event.data
  const action = actionOf[event.type]
  enter(event, rows, action, { details: {}, reason, before, after: standingAfter(event, before) })
}

const actionOf = {
  AccountThrottled: 'account.throttled',
  AccountBanned: 'account.banned',
  AccountReinstated: 'account.reinstated',
} as const

function standingAfter(event: StandingChange, before: StoredStanding | null): StoredStanding {
  if (event.type === 'AccountReinstated') return { status: 'active', throttle: null }
  if (event.type === 'AccountBanned') {
    return { status: 'banned', throttle: before?.throttle ?? null }
  }
  const { requestsPerMinute, until } = event.data
  const status = before?.status === 'banned' ? 'banned' : 'throttled'
  return { status, throttle: { requestsPerMinute, until } }
}

const otherHandlers: Handlers = {
  AccountThrottled: changeStanding,
  AccountBanned: changeStanding,
  AccountReinstated: changeStanding,
  PricePublished: (event, rows) => {
    const { version, effectiveAt, prices, previous, reason } = event.data
    const before = previous === undefined ? null : { prices: previous }
    const told = { details: { version, effectiveAt }, reason, before, after: { prices } }
    enter(event, rows, 'prices.published', told)
  },
  JobRequeued: (event, rows) => {
    // The org's own retries are nobody's act but its own.
    if (!event.meta.actor.startsWith('admin:')) return
    const { job, previousStatus: status } = event.data
    const before = status === undefined ? null : { status }
    const told = { details: { jobId: job.jobId }, before, after: { status: 'queued' } }
    enter(event, rows, 'job.retried', told)
  },
  OperatorRegistered: (event, rows) => {
    const { operatorId, email, role } = event.data
    const told = { details: { operatorId }, before: null, after: { email, role } }
    enter(event, rows, 'operator.registered', told)
  },
  OperatorPasswordSet: (event, rows) => {
    const { operatorId } = event.data
    const told = { details: { operatorId }, before: null, after: null }
    enter(event, rows, 'operator.password_set', told)
  },
  OperatorSignedIn: (event, rows) => {
    const { operatorId, sessionId, endsAt } = event.data
    const told = { details: { operatorId, sessionId }, before: null, after: { endsAt } }
    enter(event, rows, 'operator.signed_in', told)
  },
  OperatorSignedOut: (event, rows) => {
    const { operatorId, sessionId } = event.data
    const told = { details: { operatorId, sessionId }, before: null, after: null }
    enter(event, rows, 'operator.signed_out', told)
  },
}

/** It says nothing of secrets: neither keys nor their hashes are in it. */
export const audit: Projection = {
  name: 'audit',
  version: 1,
  rebuildable: true,
  tables: [auditEntryTable],
  order: 'org',
  reads: () => [],
  handlers: { ...accountHandlers, ...otherHandlers },
}
