import type { AlertEvent, LimitThresholdReached } from '../account/account-events.ts'
import { unreachable } from '../unreachable.ts'

/** What a webhook tells about money that runs out: the balance, or a limit on spend. */
export type BalanceLowData = {
  readonly orgId: string
  /** 50, 80 or 100. */
  readonly percent: number
  /** What 100 % is, micro-credits; null when a limit is reached. */
  readonly granted: string | null
  readonly posted: string
  readonly held: string
  readonly overdraft: string
  readonly available: string
  /** Null when it is the balance. */
  readonly limit: ReachedLimit | null
  /** The revision of the account: deliveries can arrive out of order. */
  readonly sequence: number
}

/** What a webhook tells about a limit on units. */
export type LimitReachedData = {
  readonly orgId: string
  readonly percent: number
  readonly limit: ReachedLimit
  readonly sequence: number
}

/** A limit as it was set, and how much of it is used; `key` is who has used it. */
export type ReachedLimit = Pick<
  LimitThresholdReached['data'],
  'scope' | 'key' | 'kind' | 'window' | 'unit' | 'max' | 'used' | 'windowStart' | 'resetAt'
>

/** What a webhook tells of an alert, by its type. */
export type AlertWebhook =
  | { readonly type: 'balance.low'; readonly timestamp: string; readonly data: BalanceLowData }
  | { readonly type: 'limit.reached'; readonly timestamp: string; readonly data: LimitReachedData }

/** The account that an alert is about, and where the alert stands in it. */
export type AlertPlace = { readonly orgId: string; readonly sequence: number }

/** What receivers are told of an alert. Money is `balance.low`, whatever it is that runs out. */
export function alertWebhook(event: AlertEvent, { orgId, sequence }: AlertPlace): AlertWebhook {
  const { percent, balance, reachedAt: timestamp } = event.data
  const { postedMicro: posted, heldMicro: held } = balance
  const { overdraftMicro: overdraft, availableMicro: available } = balance
  const money = { posted, held, overdraft, available }
  switch (event.type) {
    case 'BalanceThresholdReached': {
      const { grantedMicro: granted } = event.data
      const data = { orgId, percent, granted, ...money, limit: null, sequence }
      return { type: 'balance.low', timestamp, data }
    }
    case 'LimitThresholdReached': {
      const limit = limitOf(event)
      if (limit.kind === 'spend') {
        const data = { orgId, percent, granted: null, ...money, limit, sequence }
        return { type: 'balance.low', timestamp, data }
      }
      return { type: 'limit.reached', timestamp, data: { orgId, percent, limit, sequence } }
    }
    default:
      return unreachable(event)
  }
}

function limitOf({ data }: LimitThresholdReached): ReachedLimit {
  const { scope, key, kind, window, unit, max, used, windowStart, resetAt } = data
  return { scope, key, kind, window, unit, max, used, windowStart, resetAt }
}
