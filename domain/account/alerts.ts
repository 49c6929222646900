import { Map } from 'immutable'
import { storedAmount } from '../pricing/money.ts'
import { unreachable } from '../unreachable.ts'
import type {
  AccountEvent,
  AlertEvent,
  BalanceThresholdReached,
  LimitThresholdReached,
} from './account-events.ts'
import { isExpired } from './burn.ts'
import type { Grant } from './burn.ts'
import { windowEnd, windowStart } from './limit-window.ts'
import { isQuota, limitsFor } from './limits.ts'
import type { AppliedLimit, Limit, LimitScope } from './limits.ts'
import { usedOf } from './quota.ts'
import type { Quota } from './quota.ts'

/**
 * Says once that 50, 80 and 100 % of the balance, or of a quota, are used.
 *
 *   armed ── 50 % used ──▶ told 50 ── 80 % ──▶ told 80 ── 100 % ──▶ told 100
 *     ▲                       │                   │                    │
 *     └── a grant that brings the balance below it, or another window ─┘
 *
 * The balance: 100 % is what was given by the grants that had something left when the last one
 * came, and the overdraft. What is only held is not used, as most of it may come back.
 *
 * A quota: as it refuses, so with what open holds reserve. A limit with another max is another one.
 */
export const alertPercents: readonly number[] = [50, 80, 100]
const toldAll = 100

export type BalanceAlert = {
  /** What 100 % is, micro-credits. */
  readonly granted: bigint
  /** The highest percentage that was told; 100 when there is nothing to tell. */
  readonly told: number
}

/** The highest percentage that was told of each limit, in the newest window that was told of. */
type LimitAlerts = { readonly start: string; readonly told: Map<string, number> }

export type Alerts = {
  readonly balance: BalanceAlert
  readonly day: LimitAlerts
  readonly month: LimitAlerts
}

const noLimitAlerts: LimitAlerts = { start: '', told: Map() }

export const noAlerts: Alerts = {
  balance: { granted: 0n, told: toldAll },
  day: noLimitAlerts,
  month: noLimitAlerts,
}

/** What of an account alerts are about. */
export type Alerting = {
  readonly alerts: Alerts
  readonly posted: bigint
  readonly held: bigint
  readonly overdraft: bigint
  readonly quota: Quota
  readonly standing: { readonly limits: readonly Limit[] }
}

function reached(used: bigint, max: bigint, told: number): readonly number[] {
  if (told >= toldAll || max <= 0n) return []
  return alertPercents.filter((percent) => {
    return percent > told && used * 100n >= max * BigInt(percent)
  })
}

const reachedBalance = ({ granted, told }: BalanceAlert, left: bigint): readonly number[] =>
  reached(granted - left, granted, told)

/** Arms again what a grant, or the opening with an overdraft, brought below its percentage. */
export function rearmed(
  { alerts, posted, overdraft }: Omit<Alerting, 'quota' | 'standing' | 'held'>,
  grants: readonly Grant[],
  at: string,
): Alerts {
  const live = grants.filter((grant) => !isExpired(grant, at))
  const granted = live.reduce((sum, { amount }) => sum + amount, overdraft)
  if (granted <= 0n) return alerts
  const level = reachedBalance({ granted, told: 0 }, posted + overdraft).at(-1) ?? 0
  return { ...alerts, balance: { granted, told: Math.min(alerts.balance.told, level) } }
}

export function evolveAlerts(alerts: Alerts, event: AlertEvent): Alerts {
  switch (event.type) {
    case 'BalanceThresholdReached':
      return { ...alerts, balance: { ...alerts.balance, told: event.data.percent } }
    case 'LimitThresholdReached': {
      const { window, windowStart: start, percent } = event.data
      const told = start > alerts[window].start ? noLimitAlerts.told : alerts[window].told
      return { ...alerts, [window]: { start, told: told.set(limitName(event.data), percent) } }
    }
    default:
      return unreachable(event)
  }
}

type Named = Pick<LimitThresholdReached['data'], 'scope' | 'key' | 'kind' | 'unit' | 'max'>

function limitName({ scope, key, kind, unit, max }: Named): string {
  return JSON.stringify([scope, key, kind, unit, String(max)])
}

/**
 * Whether the events could reach a percentage. It is asked of every usage: for an account without
 * quotas this is one comparison, and for one with them a bound that needs no state after the event.
 * A job's hold, usage and settlement take 85 µs with one quota so, and 120 µs when each event is
 * folded first.
 */
export function mayAlert(account: Alerting, events: readonly AccountEvent[]): boolean {
  const { alerts, posted, overdraft, standing } = account
  let left = posted + overdraft
  for (const event of events) {
    if (event.type === 'LimitsSet') return true
    if (standing.limits.length > 0 && mayReachLimit(account, event)) return true
    left -= takenBy(event)
  }
  return reachedBalance(alerts.balance, left).length > 0
}

function takenBy(event: AccountEvent): bigint {
  if (event.type === 'UsageRecorded') return storedAmount(event.data.chargedMicro)
  const isTaken = event.type === 'CreditsRevoked' || event.type === 'CreditsExpired'
  return isTaken ? storedAmount(event.data.amountMicro) : 0n
}

function mayReachLimit(account: Alerting, event: AccountEvent): boolean {
  const subject = subjectOf(event)
  if (!subject) return false
  const { at } = subject
  return limitsFor(account.standing.limits, subject, at).some((applied) => {
    return limitReached(account, applied, { at, more: mostOf(event, applied.limit) }).length > 0
  })
}

/** What an event can use of a quota at most, whoever it is of. */
function mostOf(event: AccountEvent, { unit }: Limit): bigint {
  if (event.type === 'UsageRecorded') {
    return storedAmount(unit === null ? event.data.chargedMicro : (event.data.units[unit] ?? '0'))
  }
  if (event.type !== 'CreditsHeld') return 0n
  const { amountMicro, planned = [] } = event.data
  return planned.reduce(
    (sum, each) => sum + storedAmount(unit === null ? each.amountMicro : (each.units[unit] ?? '0')),
    unit === null ? storedAmount(amountMicro) : 0n,
  )
}

/** Whose quotas an event uses up, and when. */
function subjectOf(event: AccountEvent) {
  if (event.type === 'UsageRecorded') {
    const { userId, provider, calledAt } = event.data
    return { userId, providers: [provider], jobType: null, at: calledAt }
  }
  if (event.type !== 'CreditsHeld') return null
  const { userId = null, planned = [], heldAt } = event.data
  const providers = planned.map(({ provider }) => provider)
  return { userId, providers, jobType: null, at: heldAt }
}

/**
 * What the events have reached.
 *
 * @param after the account as the events left it
 * @param available what can be reserved or spent then, micro-credits
 */
export function alertsOf(
  after: Alerting,
  events: readonly AccountEvent[],
  at: string,
  available: bigint,
): readonly AlertEvent[] {
  const balance = {
    postedMicro: after.posted.toString(),
    heldMicro: after.held.toString(),
    overdraftMicro: after.overdraft.toString(),
    availableMicro: available.toString(),
  }
  const { granted } = after.alerts.balance
  const percents = reachedBalance(after.alerts.balance, after.posted + after.overdraft)
  const ofBalance = percents.map((percent): BalanceThresholdReached => {
    const data = { percent, grantedMicro: granted.toString(), balance, reachedAt: at }
    return { type: 'BalanceThresholdReached', data }
  })
  const ofLimits = limitsReached(after, events, at).map((limit): LimitThresholdReached => {
    return { type: 'LimitThresholdReached', data: { ...limit, balance, reachedAt: at } }
  })
  return [...ofBalance, ...ofLimits]
}

type LimitReached = Omit<LimitThresholdReached['data'], 'balance' | 'reachedAt'>

function limitsReached(
  after: Alerting,
  events: readonly AccountEvent[],
  at: string,
): readonly LimitReached[] {
  const { limits } = after.standing
  return events.flatMap((event) => {
    if (event.type === 'LimitsSet') {
      return namedBy(limits, at).flatMap((applied) =>
        limitReached(after, applied, { at, more: 0n }),
      )
    }
    const subject = subjectOf(event)
    if (!subject) return []
    const asked = { at: subject.at, more: 0n }
    return limitsFor(limits, subject, subject.at).flatMap((applied) => {
      return limitReached(after, applied, asked)
    })
  })
}

/** Limits that are new may be reached already: those of the org, and those that name somebody. */
function namedBy(limits: readonly Limit[], at: string): readonly AppliedLimit[] {
  const keysOf = (scope: LimitScope) => {
    const keys = limits.filter((limit) => limit.scope === scope).map(({ key }) => key)
    return [...new Set(keys.filter((key) => key !== null))]
  }
  const nobody = { userId: null, providers: keysOf('provider'), jobType: null }
  const ofUsers = keysOf('user').flatMap((userId) => {
    const applied = limitsFor(limits, { userId, providers: [], jobType: null }, at)
    return applied.filter(({ limit }) => limit.scope === 'user')
  })
  return [...limitsFor(limits, nobody, at), ...ofUsers]
}

/** @param asked when, and how much more than what is counted is taken for used */
function limitReached(
  { alerts, quota, held }: Alerting,
  applied: AppliedLimit,
  { at, more }: { readonly at: string; readonly more: bigint },
): readonly LimitReached[] {
  const { limit, value } = applied
  if (!isQuota(limit)) return []
  const { scope, kind, window, unit, max } = limit
  const used = usedOf(quota, applied, { at, orgHeld: held }) + more
  if (reached(used, BigInt(max), 0).length === 0) return []
  const named = { scope, key: scope === 'org' ? null : value, kind, window, unit, max }
  // A usage may be told after the end of the window in which its call was made.
  const start = [quota[window].start, windowStart(window, at)].reduce((a, b) => (a > b ? a : b))
  const before = alerts[window]
  if (start < before.start) return []
  const told = start === before.start ? (before.told.get(limitName(named)) ?? 0) : 0
  const times = { windowStart: start, resetAt: windowEnd(window, start) }
  return reached(used, BigInt(max), told).map((percent) => {
    return { ...named, percent, used: used.toString(), ...times }
  })
}

// Snapshots

type StoredLimitAlerts = {
  readonly start: string
  readonly told: readonly (readonly [string, number])[]
}
export type StoredAlerts = {
  readonly balance: { readonly granted: string; readonly told: number }
  readonly day: StoredLimitAlerts
  readonly month: StoredLimitAlerts
}

export function encodeAlerts({ balance, day, month }: Alerts): StoredAlerts {
  const limits = ({ start, told }: LimitAlerts) => ({ start, told: told.toArray() })
  const granted = balance.granted.toString()
  return { balance: { ...balance, granted }, day: limits(day), month: limits(month) }
}

export function decodeAlerts({ balance, day, month }: StoredAlerts): Alerts {
  const limits = ({ start, told }: StoredLimitAlerts) => ({ start, told: Map(told) })
  const granted = BigInt(balance.granted)
  return { balance: { ...balance, granted }, day: limits(day), month: limits(month) }
}
