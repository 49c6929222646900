import { DomainError } from '../errors.ts'
import { unreachable } from '../unreachable.ts'
import type { AccountStatus, StandingEvent, StoredStanding } from './account-events.ts'
import type { Limit } from './limits.ts'

/**
 * Whether an org may submit, and how much.
 *
 *   active ◀── reinstate ── throttled (until its end)
 *     ▲ └───── throttle ──────▶ │
 *     │                         │ ban
 *     └─────── reinstate ──── banned
 */
export type Standing = {
  readonly ban: { readonly reason: string; readonly bannedAt: string } | null
  readonly throttle: Throttle | null
  readonly limits: readonly Limit[]
  /** Grows with every change, so that an admission knows what it was judged by. */
  readonly version: number
}

export type Throttle = {
  readonly requestsPerMinute: number
  readonly reason: string
  readonly until: string | null
}

export const goodStanding: Standing = { ban: null, throttle: null, limits: [], version: 0 }

export type StandingCommand =
  | {
      readonly type: 'SetLimits'
      readonly limits: readonly Limit[]
      readonly reason: string
      readonly at: string
    }
  | {
      readonly type: 'ThrottleAccount'
      readonly requestsPerMinute: number
      readonly until: string | null
      readonly reason: string
      readonly at: string
    }
  | { readonly type: 'BanAccount'; readonly reason: string; readonly at: string }
  | { readonly type: 'ReinstateAccount'; readonly reason: string; readonly at: string }

/** The throttle that is in force at that time. */
export function throttleAt({ throttle }: Standing, at: string): Throttle | null {
  const isOver = throttle !== null && throttle.until !== null && throttle.until <= at
  return isOver ? null : throttle
}

export function statusAt(standing: Standing, at: string): AccountStatus {
  if (standing.ban) return 'banned'
  return throttleAt(standing, at) ? 'throttled' : 'active'
}

/**
 * Lets nothing new in while the account is banned, nor what was judged by limits that were changed
 * meanwhile.
 *
 * @param version the standing's version that admission has seen; undefined when it looked at none
 * @throws DomainError `account_banned`; `conflict` with `isStale` when admission must look again
 */
export function requireAdmission(standing: Standing, version?: number): void {
  if (standing.ban) {
    throw new DomainError('account_banned', 'The account is banned: it takes no new jobs.')
  }
  if (version === undefined || version === standing.version) return
  throw new DomainError('conflict', 'The limits were changed meanwhile.', { isStale: true })
}

function storedStanding(standing: Standing, at: string): StoredStanding {
  const status = statusAt(standing, at)
  const throttle = throttleAt(standing, at)
  if (!throttle) return { status, throttle }
  const { requestsPerMinute, until } = throttle
  return { status, throttle: { requestsPerMinute, until } }
}

export function evolveStanding(standing: Standing, event: StandingEvent): Standing {
  const version = standing.version + 1
  switch (event.type) {
    case 'LimitsSet':
      return { ...standing, limits: event.data.limits, version }
    case 'AccountThrottled': {
      const { requestsPerMinute, reason, until } = event.data
      return { ...standing, throttle: { requestsPerMinute, reason, until }, version }
    }
    case 'AccountBanned': {
      const { reason, bannedAt } = event.data
      return { ...standing, ban: { reason, bannedAt }, version }
    }
    case 'AccountReinstated':
      return { ...standing, ban: null, throttle: null, version }
    default:
      return unreachable(event)
  }
}

export function decideStanding(
  standing: Standing,
  command: StandingCommand,
): readonly StandingEvent[] {
  const { ban, throttle, limits } = standing
  const { reason, at } = command
  const previous = storedStanding(standing, at)
  switch (command.type) {
    case 'SetLimits': {
      if (JSON.stringify(limits) === JSON.stringify(command.limits)) return []
      const data = { limits: command.limits, previous: limits, reason, setAt: at }
      return [{ type: 'LimitsSet', data }]
    }
    case 'ThrottleAccount': {
      const { requestsPerMinute, until } = command
      const isSame = throttle?.requestsPerMinute === requestsPerMinute && throttle.until === until
      if (isSame) return []
      const data = { requestsPerMinute, until, reason, throttledAt: at, previous }
      return [{ type: 'AccountThrottled', data }]
    }
    case 'BanAccount':
      return ban ? [] : [{ type: 'AccountBanned', data: { reason, bannedAt: at, previous } }]
    case 'ReinstateAccount':
      if (!ban && !throttle) return []
      return [{ type: 'AccountReinstated', data: { reason, reinstatedAt: at, previous } }]
    default:
      return unreachable(command)
  }
}
