import { List, Map } from 'immutable'
import type { Set } from 'immutable'
import { assert } from '../assert.ts'

/**
 * How many usage ids of closed holds an account remembers, so that a late repetition is known.
 * A usage that comes later than that is refused: a human is told, nobody is charged twice.
 */
export const closedUsageMax = 20_000

/** The holds that were settled lately, oldest first, with the usage recorded on each. */
export type ClosedHolds = {
  readonly usageIds: Map<string, Set<string>>
  readonly order: List<string>
  /** Holds and usage ids together. */
  readonly size: number
}

export const noClosedHolds: ClosedHolds = { usageIds: Map(), order: List(), size: 0 }

/** The holds of an account, open ones and those that were settled lately. */
type Holds = { readonly holds: Map<string, unknown>; readonly closed: ClosedHolds }

/** Whether the hold was made, as far as the account remembers. */
export function knowsHold({ holds, closed }: Holds, holdId: string): boolean {
  return holds.has(holdId) || closed.usageIds.has(holdId)
}

/** Remembers a hold that was settled, and forgets the oldest beyond the limit. */
export function remember(closed: ClosedHolds, holdId: string, ids: Set<string>): ClosedHolds {
  return forgetOldest({
    usageIds: closed.usageIds.set(holdId, ids),
    order: closed.order.push(holdId),
    size: closed.size + 1 + ids.size,
  })
}

/** Remembers a usage that came after its hold was settled. */
export function rememberLate(closed: ClosedHolds, holdId: string, usageId: string): ClosedHolds {
  const ids = closed.usageIds.get(holdId)
  if (!ids) return closed
  const usageIds = closed.usageIds.set(holdId, ids.add(usageId))
  return { ...closed, usageIds, size: closed.size + 1 }
}

function forgetOldest(closed: ClosedHolds): ClosedHolds {
  let { usageIds, order, size } = closed
  while (size > closedUsageMax && order.size > 1) {
    const oldest = order.first()
    assert(oldest !== undefined, 'a closed hold has its place in the order')
    size -= 1 + (usageIds.get(oldest)?.size ?? 0)
    usageIds = usageIds.delete(oldest)
    order = order.shift()
  }
  return { usageIds, order, size }
}
