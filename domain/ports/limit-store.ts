/** One counter that a request must pass. */
export type LimitCheck = {
  /** Names the counter, e.g. `org:<id>:requests:minute`. */
  readonly key: string
  /** How many may pass in one window; also the burst (GCRA). */
  readonly max: number
  readonly windowMs: number
  readonly cost: number
}

/** What the store decided. */
export type LimitDecision =
  | { readonly allowed: true; readonly remaining: readonly number[] }
  | {
      readonly allowed: false
      /** The check that refused. */
      readonly key: string
      readonly used: number
      /** ms until the same request would pass. */
      readonly retryAfterMs: number
    }

/** Rate counters (generic cell rate algorithm), shared by every process. */
export abstract class LimitStore {
  /** All checks pass and are counted, or none is counted. `now` in ms since the epoch. */
  abstract take(checks: readonly LimitCheck[], now: number): Promise<LimitDecision>

  /** Gives back what `take` has counted, for a request that was refused after it. */
  abstract give(checks: readonly LimitCheck[], now: number): Promise<void>

  /**
   * Forgets counters that have been empty since before `before`, ms since the epoch: they count
   * like new ones.
   *
   * @returns how many, `countMax` at most
   */
  abstract forget(before: number, countMax: number): Promise<number>
}
