import { assert } from '../assert.ts'
import { minimum } from '../pricing/money.ts'

export type GrantKind = 'plan' | 'purchase' | 'promo' | 'adjustment' | 'refund'

export const grantKinds: readonly GrantKind[] = [
  'plan',
  'purchase',
  'promo',
  'adjustment',
  'refund',
]

/** Credits that were given and not yet used up. */
export type Grant = {
  readonly grantId: string
  readonly kind: GrantKind
  /** As it was given. */
  readonly amount: bigint
  readonly remaining: bigint
  /** Lower burns first. */
  readonly priority: number
  readonly effectiveAt: string
  readonly expiresAt: string | null
  /** Order of creation within the account. */
  readonly sequence: number
}

/** How much of which grant a debit took; stored on the debit, so that refunds can unwind it. */
export type Allocation = { readonly grantId: string; readonly amount: bigint }

/** Grants that end at the same time: their events are one append. */
const expiriesMax = 500

const never = '9999'
const promoFirst = (kind: GrantKind): number => (kind === 'promo' ? 0 : 1)

/** Burn order: priority, expiry, promo before paid, effective, created. */
export function compareBurnOrder(a: Grant, b: Grant): number {
  return (
    a.priority - b.priority ||
    compareText(a.expiresAt ?? never, b.expiresAt ?? never) ||
    promoFirst(a.kind) - promoFirst(b.kind) ||
    compareText(a.effectiveAt, b.effectiveAt) ||
    a.sequence - b.sequence
  )
}

export function isExpired(grant: Grant, at: string): boolean {
  return grant.expiresAt !== null && grant.expiresAt <= at
}

/** What is left of all grants that are over. */
export function expiredIn(grants: readonly Grant[], at: string): bigint {
  const expired = grants.filter((grant) => isExpired(grant, at))
  return expired.reduce((sum, { remaining }) => sum + remaining, 0n)
}

/** What is left of grants that are over, as far as `free` goes; the rest is for the next run. */
export function expiring(
  grants: readonly Grant[],
  at: string,
  free: bigint,
): readonly Allocation[] {
  const ended: Allocation[] = []
  let left = free
  const expired = grants.filter((grant) => isExpired(grant, at))
  for (const { grantId, remaining } of expired.slice(0, expiriesMax)) {
    const amount = minimum(remaining, left)
    if (amount === 0n) break
    left -= amount
    ended.push({ grantId, amount })
  }
  return ended
}

/** Adds a grant where it belongs: the list is always in burn order. */
export function insertGrant(grants: readonly Grant[], grant: Grant): readonly Grant[] {
  return [...grants, grant].sort(compareBurnOrder)
}

/**
 * Chooses what a debit takes from where. Grants that expired but are still reserved by open holds
 * come last; what no grant covers is debt.
 */
export function allocate(
  grants: readonly Grant[],
  amount: bigint,
  at: string,
): { readonly allocations: readonly Allocation[]; readonly uncovered: bigint } {
  assert(amount >= 0n, 'a debit is never negative')
  const live = grants.filter((grant) => !isExpired(grant, at))
  const expired = grants.filter((grant) => isExpired(grant, at))
  const allocations: Allocation[] = []
  let left = amount
  for (const grant of [...live, ...expired]) {
    if (left === 0n) break
    const taken = minimum(left, grant.remaining)
    if (taken === 0n) continue
    allocations.push({ grantId: grant.grantId, amount: taken })
    left -= taken
  }
  return { allocations, uncovered: left }
}

/** Takes what was allocated; grants that are used up leave the list. */
export function burn(
  grants: readonly Grant[],
  allocations: readonly Allocation[],
): readonly Grant[] {
  if (allocations.length === 0) return grants
  const left: Grant[] = []
  for (const grant of grants) {
    const taken = allocations.find((allocation) => allocation.grantId === grant.grantId)
    const remaining = grant.remaining - (taken?.amount ?? 0n)
    if (remaining > 0n) left.push(taken ? { ...grant, remaining } : grant)
  }
  return left
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
