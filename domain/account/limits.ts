import { quotaWindows } from './limit-window.ts'
import type { LimitWindow, QuotaWindow } from './limit-window.ts'

// The limits of one org: what they are, and which of them a job has to pass.

export type LimitScope = 'org' | 'user' | 'provider' | 'jobType'
export type LimitKind = 'requests' | 'units' | 'concurrency' | 'spend'

export const limitScopes: readonly LimitScope[] = ['org', 'user', 'provider', 'jobType']
export const limitKinds: readonly LimitKind[] = ['requests', 'units', 'concurrency', 'spend']

/** Limits of one org. */
export const limitsMax = 100

/** One limit of an org. */
export type Limit = {
  readonly scope: LimitScope
  /** Whose it is: a user, a provider, a job type; null for each of them. */
  readonly key: string | null
  readonly kind: LimitKind
  /** Null for concurrency. */
  readonly window: LimitWindow | null
  /** What is counted when the kind is units, as the price book names it. */
  readonly unit: string | null
  /** As it was given: a whole number, or a string of one; micro-credits when the kind is spend. */
  readonly max: number | string
  /** An override holds until then and comes before the limit without an end; null has no end. */
  readonly until: string | null
}

/** What a job is, as far as limits ask. */
export type LimitSubject = {
  readonly userId: string | null
  readonly providers: readonly string[]
  readonly jobType: string | null
}

/** A limit that a job has to pass, and for whom it counts; `value` is empty for the org. */
export type AppliedLimit = { readonly limit: Limit; readonly value: string }

export type QuotaLimit = Limit & { readonly window: QuotaWindow }

/** Units and spend are counted by the calendar, in the account itself. */
export function isQuota(limit: Limit): limit is QuotaLimit {
  const isCounted = limit.kind === 'units' || limit.kind === 'spend'
  return isCounted && quotaWindows.some((window) => window === limit.window)
}

/** Names the counter of a limit on requests. It does not change with the limit's size. */
export function requestCounter(orgId: string, { limit, value }: AppliedLimit): string {
  return `${orgId}:requests:${limit.window}:${limit.scope}:${value}`
}

/** Two limits of one identity are one limit: what counts for one counts for the other. */
export function identityOf({ scope, key, kind, window, unit, until }: Limit): string {
  const lasting = until === null ? 'lasting' : 'override'
  return JSON.stringify([scope, key, kind, window, unit, lasting])
}

const none: readonly AppliedLimit[] = []

/**
 * The limits that hold for a job at that time. Of those that count the same for the same one, an
 * override comes before a lasting limit, and a limit for that one before one for each.
 */
export function limitsFor(
  limits: readonly Limit[],
  subject: LimitSubject,
  at: string,
): readonly AppliedLimit[] {
  if (limits.length === 0) return none
  const best = new Map<string, AppliedLimit>()
  for (const limit of limits) {
    if (limit.until !== null && limit.until <= at) continue
    for (const value of valuesOf(subject, limit)) {
      const { scope, kind, window, unit } = limit
      const name = JSON.stringify([scope, value, kind, window, unit])
      const known = best.get(name)
      if (!known || rank(limit) > rank(known.limit)) best.set(name, { limit, value })
    }
  }
  return [...best.values()]
}

/** Whom of the job's a limit counts: nobody when it is about somebody else. */
function valuesOf(subject: LimitSubject, { scope, key }: Limit): readonly string[] {
  const values = {
    org: [''],
    user: subject.userId === null ? [] : [subject.userId],
    provider: subject.providers,
    jobType: subject.jobType === null ? [] : [subject.jobType],
  }[scope]
  return key === null || scope === 'org' ? values : values.filter((value) => value === key)
}

const rank = ({ key, until }: Limit): number => (until === null ? 0 : 2) + (key === null ? 0 : 1)
