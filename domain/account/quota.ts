import { Map } from 'immutable'
import { DomainError } from '../errors.ts'
import { maximum, storedAmount } from '../pricing/money.ts'
import type { StoredPlan, UsageRecorded } from './account-events.ts'
import { windowEnd, windowStart } from './limit-window.ts'
import type { QuotaWindow } from './limit-window.ts'
import { isQuota, limitsFor } from './limits.ts'
import type { AppliedLimit, Limit } from './limits.ts'

/**
 * What an org has used of its quotas of units and spend: what was charged in the day and the month
 * of the newest call, and what open holds reserve. It is counted whether a limit asks for it or
 * not, so that a limit that comes later, or changes, finds what was used before.
 *
 * Nothing more than the limit is ever charged in a window: an open hold counts whole in whatever
 * window it is asked about.
 */
export type Quota = {
  readonly day: Counted
  readonly month: Counted
  /** What open holds reserve, by counter; the org's spend is the account's own `held`. */
  readonly held: Counters
}

/** From counter to micro-credits or units. */
type Counters = Map<string, bigint>
type Counted = { readonly start: string; readonly sums: Counters }

export const noQuota: Quota = {
  day: { start: '', sums: Map() },
  month: { start: '', sums: Map() },
  held: Map(),
}

/**
 * Counters of one window. More users than that are counted only while a limit is about users: one
 * org with millions of users must not make every command on it slow.
 */
export const countersMax = 20_000

/** What a job will use of one provider at most. */
export type Planned = {
  readonly provider: string
  readonly amount: bigint
  readonly units: Readonly<Record<string, bigint>>
}

/** An open hold, as far as quotas ask. */
export type Reserved = {
  readonly userId: string | null
  readonly remaining: bigint
  readonly planned: readonly Planned[]
}

type Charge = readonly [counter: string, amount: bigint]

const spend = 'spend'
const counterOf = (scope: string, measure: string, value: string): string =>
  `${scope}|${measure}|${value}`

/** Counts what a hold reserves now instead of what it reserved before; null for nothing. */
export function reserve(quota: Quota, before: Reserved | null, after: Reserved | null): Quota {
  const charges: Charge[] = after ? chargesOf(after) : []
  if (before) for (const [name, amount] of chargesOf(before)) charges.push([name, -amount])
  if (charges.length === 0) return quota
  return { ...quota, held: add(quota.held, charges) }
}

function chargesOf({ userId, remaining, planned }: Reserved): Charge[] {
  const charges: Charge[] = []
  if (userId !== null) charges.push([counterOf('user', spend, userId), remaining])
  for (const { provider, amount, units } of planned) {
    charges.push([counterOf('provider', spend, provider), amount])
    for (const [unit, count] of Object.entries(units)) {
      pushUnits(charges, { unit, count, userId, provider })
    }
  }
  return charges
}

type Units = {
  readonly unit: string
  readonly count: bigint
  readonly userId: string | null
  readonly provider: string
}

function pushUnits(charges: Charge[], { unit, count, userId, provider }: Units): void {
  charges.push([counterOf('org', unit, ''), count], [counterOf('provider', unit, provider), count])
  if (userId !== null) charges.push([counterOf('user', unit, userId), count])
}

function add(counters: Counters, charges: readonly Charge[]): Counters {
  return counters.withMutations((map) => {
    for (const [name, amount] of charges) {
      if (amount === 0n) continue
      const sum = (map.get(name) ?? 0n) + amount
      if (sum === 0n) map.delete(name)
      else map.set(name, sum)
    }
  })
}

export function storedPlan(planned: readonly Planned[]): readonly StoredPlan[] {
  return planned.map(({ provider, amount, units }) => ({
    provider,
    amountMicro: amount.toString(),
    units: mapUnits(units, (count) => count.toString()),
  }))
}

export function planOf(stored: readonly StoredPlan[]): readonly Planned[] {
  return stored.map(({ provider, amountMicro, units }) => ({
    provider,
    amount: storedAmount(amountMicro),
    units: mapUnits(units, storedAmount),
  }))
}

function mapUnits<A, B>(units: Readonly<Record<string, A>>, to: (count: A) => B) {
  return Object.fromEntries(Object.entries(units).map(([unit, count]) => [unit, to(count)]))
}

/** A call that was made, as far as plans ask. */
export type Used = Pick<UsageRecorded['data'], 'provider' | 'units' | 'chargedMicro'>

/** What is left of a plan after one call. */
export function planAfter(planned: readonly Planned[], data: Used): readonly Planned[] {
  return planned.map((each): Planned => {
    if (each.provider !== data.provider) return each
    const units = Object.entries(each.units).map(([unit, count]): [string, bigint] => {
      return [unit, maximum(count - storedAmount(data.units[unit] ?? '0'), 0n)]
    })
    const amount = maximum(each.amount - storedAmount(data.chargedMicro), 0n)
    return { ...each, amount, units: Object.fromEntries(units) }
  })
}

/** Counts one call in the day and the month in which it was made. */
export function consume(
  quota: Quota,
  data: UsageRecorded['data'],
  limits: readonly Limit[],
): Quota {
  const { userId, provider, chargedMicro } = data
  const amount = storedAmount(chargedMicro)
  const charges: Charge[] = [
    [counterOf('org', spend, ''), amount],
    [counterOf('provider', spend, provider), amount],
  ]
  if (userId !== null) charges.push([counterOf('user', spend, userId), amount])
  for (const [unit, count] of Object.entries(data.units)) {
    pushUnits(charges, { unit, count: storedAmount(count), userId, provider })
  }
  const isAboutUsers = limits.some(({ scope }) => scope === 'user')
  const within = (window: QuotaWindow): Counted => {
    const start = windowStart(window, data.calledAt)
    const counted = quota[window]
    // A late record of an earlier window; what counts is the window that is running.
    if (start < counted.start) return counted
    const sums = start > counted.start ? noQuota.held : counted.sums
    const isFull = sums.size >= countersMax && !isAboutUsers
    const isKept = ([name]: Charge): boolean => !name.startsWith('user|') || sums.has(name)
    const kept = isFull ? charges.filter(isKept) : charges
    return { start, sums: add(sums, kept) }
  }
  return { ...quota, day: within('day'), month: within('month') }
}

/** What is asked for: the hold that is to be made. */
export type Wanted = Reserved & { readonly at: string; readonly orgHeld: bigint }

/**
 * Whether a hold fits into the quotas. A provider's quota only refuses when it is used up; the
 * last job may exceed it, as nobody knows before what the provider will deliver.
 *
 * @throws DomainError `quota_exceeded`
 */
export function requireQuota(quota: Quota, limits: readonly Limit[], wanted: Wanted): void {
  const { userId, planned, at } = wanted
  const providers = planned.map(({ provider }) => provider)
  for (const applied of limitsFor(limits, { userId, providers, jobType: null }, at)) {
    const { limit } = applied
    if (!isQuota(limit)) continue
    const used = usedOf(quota, applied, wanted)
    const max = BigInt(limit.max)
    const cost = costOf(applied, wanted)
    if (cost === 0n) continue
    if (limit.scope === 'provider' ? used >= max : used + cost > max) {
      throw quotaExceeded(limit, used, { window: limit.window, at })
    }
  }
}

/** What is used up of a quota at that time, with what open holds reserve. */
export function usedOf(
  quota: Quota,
  { limit, value }: AppliedLimit,
  { at, orgHeld }: Pick<Wanted, 'at' | 'orgHeld'>,
): bigint {
  if (!isQuota(limit)) return 0n
  const counter = counterOf(limit.scope, limit.unit ?? spend, value)
  const counted = quota[limit.window]
  const isRunning = counted.start >= windowStart(limit.window, at)
  const charged = isRunning ? (counted.sums.get(counter) ?? 0n) : 0n
  const isOrgSpend = limit.scope === 'org' && limit.unit === null
  return charged + (isOrgSpend ? orgHeld : (quota.held.get(counter) ?? 0n))
}

function costOf({ limit, value }: AppliedLimit, { remaining, planned }: Wanted): bigint {
  const isProvider = limit.scope === 'provider'
  if (limit.unit === null && !isProvider) return remaining
  const parts = isProvider ? planned.filter(({ provider }) => provider === value) : planned
  const { unit } = limit
  return parts.reduce(
    (sum, { amount, units }) => sum + (unit === null ? amount : (units[unit] ?? 0n)),
    0n,
  )
}

function quotaExceeded(
  limit: Limit,
  used: bigint,
  { window, at }: { readonly window: QuotaWindow; readonly at: string },
): DomainError {
  const end = windowEnd(window, at)
  const { until } = limit
  // An override may be over before its window is.
  const resetAt = until !== null && until < end ? until : end
  const what = limit.unit ?? 'micro-credits'
  const detail = `The ${window}'s quota of ${limit.max} ${what} is used up: ${used} are taken.`
  const seconds = (from: string, to: string) =>
    Math.ceil((Date.parse(to) - Date.parse(from)) / 1000)
  return new DomainError('quota_exceeded', detail, {
    ...{ limit: limit.max, scope: limit.scope, resetAt },
    used: typeof limit.max === 'number' ? Number(used) : used.toString(),
    policy: `${limit.scope}-${limit.kind}`,
    windowSeconds: seconds(windowStart(window, at), end),
    retryAfterSeconds: Math.max(seconds(at, resetAt), 1),
  })
}

// Snapshots

type StoredCounters = readonly (readonly [string, string])[]
export type StoredQuota = {
  readonly day: { readonly start: string; readonly sums: StoredCounters }
  readonly month: { readonly start: string; readonly sums: StoredCounters }
  readonly held: StoredCounters
}

export function encodeQuota({ day, month, held }: Quota): StoredQuota {
  const counters = (map: Counters) =>
    map.toArray().map(([name, sum]) => [name, sum.toString()] as const)
  const counted = ({ start, sums }: Counted) => ({ start, sums: counters(sums) })
  return { day: counted(day), month: counted(month), held: counters(held) }
}

export function decodeQuota({ day, month, held }: StoredQuota): Quota {
  const counters = (list: StoredCounters): Counters =>
    Map(list.map(([name, sum]) => [name, BigInt(sum)] as const))
  const counted = ({ start, sums }: StoredQuota['day']) => ({ start, sums: counters(sums) })
  return { day: counted(day), month: counted(month), held: counters(held) }
}
