import type { Account } from '../../domain/account/account.ts'
import type { Limit } from '../../domain/account/limits.ts'
import { isQuota } from '../../domain/account/limits.ts'
import { usedOf } from '../../domain/account/quota.ts'
import { statusAt, throttleAt } from '../../domain/account/standing.ts'
import type { AccountStatus } from '../../domain/account/account-events.ts'
import type { Throttle } from '../../domain/account/standing.ts'

/** A limit, and how much of it is used, as far as the account counts that for one. */
export type LimitView = Limit & { readonly used?: number | string }

export type StandingView = {
  readonly status: AccountStatus
  readonly throttle: Throttle | null
  readonly limits: readonly LimitView[]
}

/** Whether an org may submit, and how much. Overrides that are over are not shown. */
export function showStanding(account: Account, at: string): StandingView {
  const { standing, quota, held } = account
  const limits = standing.limits
    .filter(({ until }) => until === null || until > at)
    .map((limit): LimitView => {
      if (!isQuota(limit) || (limit.key === null && limit.scope !== 'org')) return limit
      const used = usedOf(quota, { limit, value: limit.key ?? '' }, { at, orgHeld: held })
      return { ...limit, used: typeof limit.max === 'number' ? Number(used) : used.toString() }
    })
  return { status: statusAt(standing, at), throttle: throttleAt(standing, at), limits }
}
