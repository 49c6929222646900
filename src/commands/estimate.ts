import { planAfter } from '../../domain/account/quota.ts'
import type { Planned, Used } from '../../domain/account/quota.ts'
import { storedAmount } from '../../domain/pricing/money.ts'
import { priceCall } from '../../domain/pricing/price-book.ts'
import type { PriceVersion } from '../../domain/pricing/price-book.ts'
import type { EstimatedCall } from '../../workers/handlers/handler.ts'

/** The most that a job can cost, micro-credits, and what it uses at whom. */
export type Estimate = { readonly amount: bigint; readonly planned: readonly Planned[] }

/** What the calls come to at these prices. */
export function estimateOf(
  version: PriceVersion | null,
  calls: readonly EstimatedCall[],
): Estimate {
  const byProvider = new Map<string, { amount: bigint; units: Record<string, bigint> }>()
  let amount = 0n
  for (const call of calls) {
    const { chargedMicro } = priceCall(version, call)
    amount += chargedMicro
    const part = byProvider.get(call.provider) ?? { amount: 0n, units: {} }
    byProvider.set(call.provider, part)
    part.amount += chargedMicro
    for (const [unit, count] of Object.entries(call.units)) {
      part.units[unit] = (part.units[unit] ?? 0n) + storedAmount(count)
    }
  }
  const planned = [...byProvider].map(([provider, part]): Planned => ({ provider, ...part }))
  return { amount, planned }
}

/** What of a plan is left when these calls were made; a provider with nothing left is not in it. */
export function planLeft(planned: readonly Planned[], made: readonly Used[]): readonly Planned[] {
  const left = made.reduce((plan, call) => planAfter(plan, call), planned)
  return left.filter(({ units }) => Object.values(units).some((count) => count > 0n))
}
