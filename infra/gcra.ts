import type { LimitCheck, LimitDecision } from '../domain/ports/limit-store.ts'

/** What happened to one check: ms until its counter is empty, without and with the request. */
export type CheckOutcome = {
  readonly beforeMs: number
  /** null when the request was refused. */
  readonly afterMs: number | null
}

/** Forgives the rounding of sums, in requests. */
const tolerance = 1e-6

/** How long a check keeps its counter busy, in ms. A limit of none is never free again. */
export function costMs(check: LimitCheck): number {
  if (check.cost === 0) return 0
  return check.max > 0 ? (check.cost * check.windowMs) / check.max : Infinity
}

/** The check that undoes another: its counter is empty that much earlier. */
export function returned(check: LimitCheck): LimitCheck {
  return { ...check, cost: -check.cost }
}

/** Tells the caller what the counters say. `outcomes` belong to `checks` one by one. */
export function decide(
  checks: readonly LimitCheck[],
  outcomes: readonly CheckOutcome[],
): LimitDecision {
  const judged = checks.map((check, at) => judge(check, outcomes[at]))
  if (judged.every((one) => one.isCounted)) {
    return { allowed: true, remaining: judged.map((one) => one.remaining) }
  }
  // Of several refusals the longest: when that one is over the request passes.
  const { check, used, retryAfterMs } = judged.reduce((longest, one) =>
    one.retryAfterMs > longest.retryAfterMs ? one : longest,
  )
  return { allowed: false, key: check.key, used, retryAfterMs: Math.max(retryAfterMs, 1) }
}

function judge(check: LimitCheck, outcome: CheckOutcome | undefined) {
  const { beforeMs, afterMs } = outcome ?? { beforeMs: 0, afterMs: null }
  const eachMs = check.max > 0 ? check.windowMs / check.max : Infinity
  const freeMs = check.windowMs - (afterMs ?? beforeMs)
  return {
    check,
    isCounted: afterMs !== null,
    remaining: Math.max(Math.floor(freeMs / eachMs + tolerance), 0),
    used: Math.max(Math.min(Math.ceil(beforeMs / eachMs - tolerance), check.max), 0),
    retryAfterMs: Math.ceil(Math.min(beforeMs + costMs(check) - check.windowMs, check.windowMs)),
  }
}
