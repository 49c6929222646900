import type { Clock } from '../domain/ports/clock.ts'
import type { DeliveryStore } from '../domain/ports/delivery-store.ts'
import type { IdempotencyStore } from '../domain/ports/idempotency-store.ts'
import type { LimitStore } from '../domain/ports/limit-store.ts'
import type { Loop, LoopReport } from './loop.ts'
import { repeat } from './repeat.ts'

const everyMs = 3_600_000
/** So long a request may be repeated, as customers are promised. */
const idempotencyKeptMs = 24 * 3_600_000
/** Longer than the clocks of several machines differ. */
const countersKeptMs = 24 * 3_600_000
/** Rows of one statement: it must be over in no time, however much there is. */
const batchMax = 1_000

export type HousekeepingOptions = {
  readonly clock: Clock
  readonly idempotency: Pick<IdempotencyStore, 'forget'>
  readonly limits: Pick<LimitStore, 'forget'>
  readonly deliveries: Pick<DeliveryStore, 'forget'>
  /** Null: for ever. */
  readonly deliveriesKeptMs: number | null
  readonly sweepObjects: () => Promise<void>
  readonly report: LoopReport
}

/** Forgets what is no longer needed, in small batches. Any number of processes may do so. */
export function housekeeping(options: HousekeepingOptions): Loop {
  const { clock, idempotency, limits, deliveries, deliveriesKeptMs, sweepObjects, report } = options
  return repeat({
    ...{ name: 'housekeeping', clock, report },
    turn: async (signal) => {
      const now = clock.now()
      await forgetAll(signal, () => idempotency.forget(now - idempotencyKeptMs, batchMax))
      await forgetAll(signal, () => limits.forget(now - countersKeptMs, batchMax))
      if (deliveriesKeptMs !== null) {
        await forgetAll(signal, () => deliveries.forget(now - deliveriesKeptMs, batchMax))
      }
      await sweepObjects()
      return 'idle'
    },
    idle: (signal) => clock.sleep(everyMs, signal),
  })
}

async function forgetAll(signal: AbortSignal, forget: () => Promise<number>): Promise<void> {
  while (!signal.aborted) if ((await forget()) < batchMax) return
}
