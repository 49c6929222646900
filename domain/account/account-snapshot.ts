import { List, Map, Set } from 'immutable'
import type { Json } from '../json.ts'
import type { Account } from './account.ts'
import type { StoredPlan } from './account-events.ts'
import { decodeAlerts, encodeAlerts } from './alerts.ts'
import type { StoredAlerts } from './alerts.ts'
import type { Grant } from './burn.ts'
import { decodeQuota, encodeQuota, planOf, storedPlan } from './quota.ts'
import type { StoredQuota } from './quota.ts'

// How an account is kept in a snapshot. Changing the shape means raising the version: older
// snapshots are then ignored and the stream is folded from its beginning once.

export const accountSnapshotVersion = 4

/** Events between two snapshots of one account at least. */
const snapshotEvery = 2_000

/**
 * Half as many as there are holds in it when these are more: an account with 100,000 jobs in the
 * queue is 15 MB of JSON, of which each event then pays for two holds at most.
 */
export function eventsUntilSnapshot({ holds }: Account): number {
  return Math.max(snapshotEvery, holds.size / 2)
}

/** The stored form: JSON with amounts as strings. */
export function encodeAccount(account: Account): Json {
  const { grants, holds, closed, entryIds, keys, quota, alerts, ...plain } = account
  return {
    ...plain,
    overdraft: plain.overdraft.toString(),
    posted: plain.posted.toString(),
    held: plain.held.toString(),
    debt: plain.debt.toString(),
    grants: grants.map(encodeGrant),
    entryIds: entryIds.toArray(),
    keys,
    holds: holds
      .toArray()
      .map(([holdId, hold]) => [
        holdId,
        hold.jobId,
        hold.remaining.toString(),
        hold.charged.toString(),
        hold.heldAt,
        hold.expiresAt,
        hold.usageIds.toArray(),
        hold.userId,
        storedPlan(hold.planned),
      ]),
    quota: encodeQuota(quota),
    alerts: encodeAlerts(alerts),
    closed: closed.order.toArray().map((id) => [id, closed.usageIds.get(id)?.toArray() ?? []]),
  }
}

type StoredHold = readonly [
  ...[string, string, string, string, string, string, readonly string[]],
  string | null,
  readonly StoredPlan[],
]
type StoredGrant = Omit<Grant, 'amount' | 'remaining'> & {
  readonly amount: string
  readonly remaining: string
}
type Plain = 'orgId' | 'name' | 'keys' | 'revokedKeyIds' | 'endpoints' | 'standing'
type StoredAccount = Pick<Account, Plain> & {
  readonly quota: StoredQuota
  readonly alerts: StoredAlerts
  readonly overdraft: string
  readonly posted: string
  readonly held: string
  readonly debt: string
  readonly grants: readonly StoredGrant[]
  readonly entryIds: readonly string[]
  readonly holds: readonly StoredHold[]
  readonly closed: readonly (readonly [string, readonly string[]])[]
}

/** Reads what `encodeAccount` of the same version wrote; anything else is null: fold from zero. */
export function decodeAccount(state: Json): Account | null {
  if (!isStoredAccount(state)) return null
  const closed = state.closed.map(([id, ids]) => [id, Set(ids)] as const)
  return {
    ...state,
    overdraft: BigInt(state.overdraft),
    posted: BigInt(state.posted),
    held: BigInt(state.held),
    debt: BigInt(state.debt),
    grants: state.grants.map(decodeGrant),
    entryIds: Set(state.entryIds),
    holds: Map(state.holds.map(decodeHold)),
    quota: decodeQuota(state.quota),
    alerts: decodeAlerts(state.alerts),
    closed: {
      usageIds: Map(closed),
      order: List(closed.map(([id]) => id)),
      size: closed.reduce((sum, [, ids]) => sum + 1 + ids.size, 0),
    },
  }
}

function encodeGrant({ amount, remaining, ...grant }: Grant): StoredGrant {
  return { ...grant, amount: amount.toString(), remaining: remaining.toString() }
}

function decodeGrant({ amount, remaining, ...grant }: StoredGrant): Grant {
  return { ...grant, amount: BigInt(amount), remaining: BigInt(remaining) }
}

function decodeHold(stored: StoredHold) {
  const [holdId, jobId, remaining, charged, heldAt, expiresAt, ids, userId, planned] = stored
  const amounts = { remaining: BigInt(remaining), charged: BigInt(charged) }
  const about = { jobId, heldAt, expiresAt, userId, planned: planOf(planned) }
  return [holdId, { ...about, ...amounts, usageIds: Set(ids) }] as const
}

function isStoredAccount(state: unknown): state is StoredAccount {
  return typeof state === 'object' && state !== null && 'holds' in state && 'alerts' in state
}
