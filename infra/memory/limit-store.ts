import { type LimitCheck, type LimitDecision, LimitStore } from '../../domain/ports/limit-store.ts'
import { costMs, decide, returned } from '../gcra.ts'

/** Forgives the rounding of sums. */
const toleranceMs = 0.01

/** Rate counters of one process, for tests and the simulator. */
export class MemoryLimitStore extends LimitStore {
  /** Theoretical arrival times, in ms since the epoch. */
  readonly #arrivals = new Map<string, number>()

  override async take(checks: readonly LimitCheck[], now: number): Promise<LimitDecision> {
    const before = checks.map(({ key }) => Math.max((this.#arrivals.get(key) ?? 0) - now, 0))
    const after = checks.map((check, at) => (before[at] ?? 0) + costMs(check))
    const passes = checks.every((check, at) => (after[at] ?? 0) <= check.windowMs + toleranceMs)
    if (passes) checks.forEach(({ key }, at) => this.#arrivals.set(key, now + (after[at] ?? 0)))
    return decide(
      checks,
      checks.map((_, at) => ({
        beforeMs: before[at] ?? 0,
        afterMs: passes ? (after[at] ?? 0) : null,
      })),
    )
  }

  override async give(checks: readonly LimitCheck[], now: number): Promise<void> {
    await this.take(checks.map(returned), now)
  }

  override async forget(before: number, countMax: number): Promise<number> {
    const empty = [...this.#arrivals].filter(([, arrival]) => arrival < before)
    const forgotten = empty.slice(0, countMax)
    for (const [key] of forgotten) this.#arrivals.delete(key)
    return forgotten.length
  }
}
