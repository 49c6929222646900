import { Map, Set } from 'immutable'
import { assert } from '../assert.ts'
import { fold } from '../decider.ts'
import type { Decider } from '../decider.ts'
import { DomainError } from '../errors.ts'
import { holdIdsUpTo } from '../job/job.ts'
import { amountMicroMax, maximum, minimum, storedAmount } from '../pricing/money.ts'
import { unreachable } from '../unreachable.ts'
import type { AccountCommand } from './account-commands.ts'
import type {
  AccountEvent,
  CreditsGranted,
  CreditsHeld,
  StoredAllocation,
  UsageRecorded,
} from './account-events.ts'
import { alertsOf, evolveAlerts, mayAlert, noAlerts, rearmed } from './alerts.ts'
import type { Alerts } from './alerts.ts'
import { evolveKeys, issueKey, revokeKey } from './api-keys.ts'
import type { ApiKey } from './api-keys.ts'
import { allocate, burn, expiredIn, expiring, insertGrant } from './burn.ts'
import type { Allocation, Grant } from './burn.ts'
import { knowsHold, noClosedHolds, remember, rememberLate } from './closed-holds.ts'
import type { ClosedHolds } from './closed-holds.ts'
import { requireCovered } from './covered.ts'
import { consume, noQuota, planAfter, planOf, requireQuota, reserve, storedPlan } from './quota.ts'
import type { Planned, Quota } from './quota.ts'
import { decideStanding, evolveStanding, goodStanding, requireAdmission } from './standing.ts'
import type { Standing } from './standing.ts'
import { decideEndpoints, evolveEndpoints, noEndpoints } from './webhook-endpoints.ts'
import type { WebhookEndpoints } from './webhook-endpoints.ts'

/**
 * The money of one org. `available = posted − held + overdraft`; a hold is only made when it fits,
 * so posted − held never falls below −overdraft but by usage beyond a hold (an overrun).
 *
 *   (none) ── hold ──▶ open ── usage* ──▶ open ── settle ──▶ closed ── late usage ──▶ closed
 */
export const accountStream = (orgId: string): string => `account-${orgId}`

// State

export type Hold = {
  readonly jobId: string
  readonly remaining: bigint
  readonly charged: bigint
  readonly heldAt: string
  readonly expiresAt: string
  readonly usageIds: Set<string>
  readonly userId: string | null
  readonly planned: readonly Planned[]
}
export type Account = {
  /** Null until the account is opened. */
  readonly orgId: string | null
  readonly name: string
  readonly overdraft: bigint
  readonly posted: bigint
  readonly held: bigint
  readonly debt: bigint
  /** With something left, in burn order. */
  readonly grants: readonly Grant[]
  /** Every grant, revocation and expiry there ever was: what makes them happen once. */
  readonly entryIds: Set<string>
  readonly holds: Map<string, Hold>
  readonly closed: ClosedHolds
  readonly keys: readonly ApiKey[]
  readonly revokedKeyIds: readonly string[]
  readonly endpoints: WebhookEndpoints
  readonly standing: Standing
  readonly quota: Quota
  readonly alerts: Alerts
}

export const noAccount: Account = {
  orgId: null,
  name: '',
  overdraft: 0n,
  posted: 0n,
  held: 0n,
  debt: 0n,
  grants: [],
  entryIds: Set(),
  holds: Map(),
  closed: noClosedHolds,
  keys: [],
  revokedKeyIds: [],
  endpoints: noEndpoints,
  standing: goodStanding,
  quota: noQuota,
  alerts: noAlerts,
}

/**
 * What can be reserved or spent at that time. Credits that expired count no more, but for what open
 * holds reserve of them: that stays until those are settled.
 */
export function availableAt({ grants, posted, held, overdraft }: Account, at: string): bigint {
  return posted - held + overdraft - minimum(expiredIn(grants, at), maximum(posted - held, 0n))
}

export function evolve(account: Account, event: AccountEvent): Account {
  switch (event.type) {
    case 'AccountOpened': {
      const { orgId, name, overdraftMicro, openedAt } = event.data
      const opened = { ...account, orgId, name, overdraft: storedAmount(overdraftMicro) }
      return { ...opened, alerts: rearmed(opened, [], openedAt) }
    }
    case 'ApiKeyIssued':
    case 'ApiKeyRevoked':
      return { ...account, ...evolveKeys(account, event) }
    case 'CreditsGranted':
      return granted(account, event.data)
    case 'CreditsRevoked': {
      const debited = debit(account, event.data)
      return { ...debited, entryIds: account.entryIds.add(event.data.revocationId) }
    }
    case 'CreditsExpired': {
      const { grantId, amountMicro } = event.data
      const allocations = [{ grantId, amountMicro }]
      return debit(account, { amountMicro, allocations, uncoveredMicro: '0' })
    }
    case 'CreditsHeld':
      return held(account, event.data)
    case 'UsageRecorded':
      return used(account, event.data)
    case 'HoldSettled':
      return settled(account, event.data.holdId)
    case 'WebhookEndpointRegistered':
    case 'WebhookEndpointRemoved':
    case 'WebhookSecretRotated':
    case 'WebhookEndpointDisabled':
    case 'WebhookEndpointEnabled':
      return { ...account, endpoints: evolveEndpoints(account.endpoints, event) }
    case 'LimitsSet':
    case 'AccountThrottled':
    case 'AccountBanned':
    case 'AccountReinstated':
      return { ...account, standing: evolveStanding(account.standing, event) }
    case 'BalanceThresholdReached':
    case 'LimitThresholdReached':
      return { ...account, alerts: evolveAlerts(account.alerts, event) }
    default:
      return unreachable(event)
  }
}

function granted(account: Account, data: CreditsGranted['data']): Account {
  const amount = storedAmount(data.amountMicro)
  const covers = storedAmount(data.coversDebtMicro)
  const { grantId, kind, priority, effectiveAt, expiresAt } = data
  const sequence = account.entryIds.size
  const remaining = amount - covers
  const grant = { grantId, kind, amount, remaining, priority, effectiveAt, expiresAt, sequence }
  const grants = remaining > 0n ? insertGrant(account.grants, grant) : account.grants
  const posted = account.posted + amount
  return {
    ...account,
    ...{ posted, grants, debt: account.debt - covers },
    entryIds: account.entryIds.add(grantId),
    alerts: rearmed({ ...account, posted }, grants, effectiveAt),
  }
}

function held(account: Account, data: CreditsHeld['data']): Account {
  const { holdId, jobId, heldAt, expiresAt, userId = null } = data
  const remaining = storedAmount(data.amountMicro)
  const about = { jobId, heldAt, expiresAt, userId, planned: planOf(data.planned ?? []) }
  const hold = { ...about, remaining, charged: 0n, usageIds: Set<string>() }
  return {
    ...account,
    held: account.held + remaining,
    holds: account.holds.set(holdId, hold),
    quota: reserve(account.quota, null, hold),
  }
}

type Debit = {
  readonly amountMicro: string
  readonly allocations: readonly StoredAllocation[]
  readonly uncoveredMicro: string
}

function debit(account: Account, { amountMicro, allocations, uncoveredMicro }: Debit): Account {
  const taken = allocations.map(({ grantId, amountMicro: part }) => ({
    grantId,
    amount: storedAmount(part),
  }))
  return {
    ...account,
    posted: account.posted - storedAmount(amountMicro),
    debt: account.debt + storedAmount(uncoveredMicro),
    grants: burn(account.grants, taken),
  }
}

function used(account: Account, data: UsageRecorded['data']): Account {
  const { holdId, usageId, chargedMicro, fromHoldMicro } = data
  const quota = consume(account.quota, data, account.standing.limits)
  const after = { ...debit(account, { ...data, amountMicro: chargedMicro }), quota }
  const hold = account.holds.get(holdId)
  if (!hold) return { ...after, closed: rememberLate(account.closed, holdId, usageId) }
  const fromHold = storedAmount(fromHoldMicro)
  const next = {
    ...hold,
    remaining: hold.remaining - fromHold,
    charged: hold.charged + storedAmount(chargedMicro),
    usageIds: hold.usageIds.add(usageId),
    planned: planAfter(hold.planned, data),
  }
  return {
    ...after,
    held: after.held - fromHold,
    holds: account.holds.set(holdId, next),
    quota: reserve(quota, hold, next),
  }
}

function settled(account: Account, holdId: string): Account {
  const hold = account.holds.get(holdId)
  if (!hold) return account
  return {
    ...account,
    held: account.held - hold.remaining,
    holds: account.holds.delete(holdId),
    closed: remember(account.closed, holdId, hold.usageIds),
    quota: reserve(account.quota, hold, null),
  }
}

// Decisions

type Decides = (account: Account) => readonly AccountEvent[]
type Of<Type extends AccountCommand['type']> = Extract<AccountCommand, { type: Type }>

/** What the command causes, and what of that is worth an alert, in one append. */
export function decide(account: Account, command: AccountCommand): readonly AccountEvent[] {
  const events = decideAlone(account, command)
  if (events.length === 0 || !('at' in command) || !mayAlert(account, events)) return events
  const after = fold(evolve, account, events)
  const { at } = command
  return [...events, ...alertsOf(after, events, at, availableAt(after, at))]
}

function decideAlone(account: Account, command: AccountCommand): readonly AccountEvent[] {
  if (command.type === 'OpenAccount') return open(account, command)
  if (account.orgId === null) throw new DomainError('not_found', 'There is no such organisation.')
  switch (command.type) {
    case 'IssueApiKey':
      return issueKey(account, command)
    case 'RevokeApiKey':
      return revokeKey(account, command)
    case 'GrantCredits':
      return grant(account, command)
    case 'AdjustCredits':
      return onceExpired(account, command.at, (current) => adjust(current, command))
    case 'ExpireCredits':
      return expire(account, command.at)
    case 'HoldCredits':
      return onceExpired(account, command.at, (current) => hold(current, command))
    case 'RecordUsage':
      return recordUsage(account, command)
    case 'SettleHold':
      return settle(account, command)
    case 'RegisterWebhookEndpoint':
    case 'RemoveWebhookEndpoint':
    case 'RotateWebhookSecret':
    case 'DisableWebhookEndpoint':
    case 'EnableWebhookEndpoint':
      return decideEndpoints(account.endpoints, command)
    case 'SetLimits':
    case 'ThrottleAccount':
    case 'BanAccount':
    case 'ReinstateAccount':
      return decideStanding(account.standing, command)
    default:
      return unreachable(command)
  }
}

export const accountDecider: Decider<Account, AccountCommand, AccountEvent> = {
  initial: noAccount,
  evolve,
  decide,
}

function open(account: Account, command: Of<'OpenAccount'>): readonly AccountEvent[] {
  if (account.orgId !== null) return []
  const { orgId, name, overdraft, at } = command
  const overdraftMicro = overdraft.toString()
  return [{ type: 'AccountOpened', data: { orgId, name, overdraftMicro, openedAt: at } }]
}

function grant(account: Account, command: Of<'GrantCredits'>): readonly AccountEvent[] {
  if (account.entryIds.has(command.grantId)) return []
  const { grantId, kind, amount, reason, priority, expiresAt, at } = command
  assert(amount > 0n && amount <= amountMicroMax, 'a grant is positive and bounded')
  const coversDebtMicro = minimum(account.debt, amount).toString()
  const amountMicro = amount.toString()
  const base = { grantId, kind, amountMicro, coversDebtMicro, priority, expiresAt, reason }
  const moved = movedBy(account, amount)
  return [{ type: 'CreditsGranted', data: { ...base, effectiveAt: at, ...moved } }]
}

function adjust(account: Account, command: Of<'AdjustCredits'>): readonly AccountEvent[] {
  const { adjustmentId, amount, reason, at } = command
  if (account.entryIds.has(adjustmentId)) return []
  assert(amount !== 0n, 'an adjustment is not zero')
  if (amount > 0n) {
    const grantId = adjustmentId
    const terms = { kind: 'adjustment' as const, priority: 100, expiresAt: null }
    return grant(account, { type: 'GrantCredits', grantId, amount, reason, at, ...terms })
  }
  requireCovered(-amount, availableAt(account, at), account.held)
  const { allocations, uncovered } = allocate(account.grants, -amount, at)
  const data = {
    revocationId: adjustmentId,
    kind: 'adjustment' as const,
    amountMicro: (-amount).toString(),
    allocations: stored(allocations),
    uncoveredMicro: uncovered.toString(),
    reason,
    ...movedBy(account, amount),
  }
  return [{ type: 'CreditsRevoked', data }]
}

function movedBy({ posted }: Account, amount: bigint) {
  const postedAfterMicro = (posted + amount).toString()
  return { postedBeforeMicro: posted.toString(), postedAfterMicro }
}

/**
 * What open holds reserve stays for a later run. An overdraft frees nothing: who holds credits
 * shall not owe them because their date has come.
 */
function expire({ grants, posted, held }: Account, at: string): readonly AccountEvent[] {
  const ended = stored(expiring(grants, at, maximum(posted - held, 0n)))
  return ended.map((data) => ({ type: 'CreditsExpired', data }))
}

/**
 * Decides on what is left when all that has expired is booked, and books it in the same append:
 * a later hold on the overdraft would else keep the credits alive that nobody had reserved.
 */
function onceExpired(account: Account, at: string, decideOn: Decides): readonly AccountEvent[] {
  const expired = expire(account, at)
  const decided = decideOn(fold(evolve, account, expired))
  return decided.length === 0 ? [] : [...expired, ...decided]
}

function hold(account: Account, command: Of<'HoldCredits'>): readonly AccountEvent[] {
  const { holdId, jobId, amount, at, expiresAt, userId = null, planned = [] } = command
  if (knowsHold(account, holdId)) return []
  assert(amount >= 0n, 'a hold is not negative')
  const { standing, quota } = account
  requireAdmission(standing, command.standingVersion)
  const wanted = { userId, planned, remaining: amount, at, orgHeld: account.held }
  requireQuota(quota, standing.limits, wanted)
  requireCovered(amount, availableAt(account, at), account.held)
  const base = { holdId, jobId, amountMicro: amount.toString(), heldAt: at, expiresAt }
  const whose = userId === null ? {} : { userId }
  const plan = planned.length === 0 ? {} : { planned: storedPlan(planned) }
  return [{ type: 'CreditsHeld', data: { ...base, ...whose, ...plan } }]
}

function recordUsage(account: Account, { usage, at }: Of<'RecordUsage'>): readonly AccountEvent[] {
  const open = account.holds.get(usage.holdId)
  if (!open && !account.closed.usageIds.has(usage.holdId)) {
    throw new DomainError('conflict', 'The usage comes too late: its hold is forgotten.')
  }
  // A job that was queued again keeps its steps, and pays none of them on its new hold.
  const holdIds = holdIdsUpTo(usage.jobId, usage.holdId)
  const idsOf = (id: string) => account.holds.get(id)?.usageIds ?? account.closed.usageIds.get(id)
  if (holdIds.some((id) => idsOf(id)?.has(usage.usageId))) return []
  const charged = storedAmount(usage.chargedMicro)
  const { allocations, uncovered } = allocate(account.grants, charged, at)
  const fromHold = minimum(charged, open?.remaining ?? 0n)
  const data = {
    ...usage,
    allocations: stored(allocations),
    uncoveredMicro: uncovered.toString(),
    fromHoldMicro: fromHold.toString(),
    overrunMicro: (charged - fromHold).toString(),
  }
  return [{ type: 'UsageRecorded', data }]
}

function settle(account: Account, command: Of<'SettleHold'>): readonly AccountEvent[] {
  const { holdId, jobId, outcome } = command
  const open = account.holds.get(holdId)
  if (!open) return []
  const chargedMicro = open.charged.toString()
  const releasedMicro = open.remaining.toString()
  return [{ type: 'HoldSettled', data: { holdId, jobId, chargedMicro, releasedMicro, outcome } }]
}

function stored(allocations: readonly Allocation[]): readonly StoredAllocation[] {
  return allocations.map(({ grantId, amount }) => ({ grantId, amountMicro: amount.toString() }))
}
