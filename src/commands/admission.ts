import { accountDecider, accountStream } from '../../domain/account/account.ts'
import type { Account } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import { knowsHold } from '../../domain/account/closed-holds.ts'
import { windowMs } from '../../domain/account/limit-window.ts'
import { limitsFor, requestCounter } from '../../domain/account/limits.ts'
import type { AppliedLimit, LimitSubject } from '../../domain/account/limits.ts'
import { throttleAt } from '../../domain/account/standing.ts'
import { DomainError } from '../../domain/errors.ts'
import type { ErrorCode } from '../../domain/errors.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import type { LimitCheck, LimitDecision } from '../../domain/ports/limit-store.ts'
import type { Allowance } from '../http/rate-limit-headers.ts'
import type { Runtime } from '../runtime.ts'

/**
 * Lets a job in, or says why not:
 *
 *   banned → 403 │ units, spend → 429 │ credits → 402 │ throttle, requests → 429 │ held
 *
 * Requests are counted in the limit store, all checks of a job or none; the rest is decided in the
 * account, in the same append that holds the credits. A job that the account would refuse is not
 * counted; one that it refuses all the same, because others were faster, gives back its count. The
 * account refuses what was judged by limits that have changed meanwhile, and then all begins anew.
 * A repetition finds its hold made, and is neither counted nor refused.
 *
 * An org without limits and throttle pays for one look at a state that is in memory anyway.
 */

/** Limits that change this often during one admission are somebody's mistake. */
const looksMax = 5
const throttleWindowMs = 60_000

export type Hold = Extract<AccountCommand, { type: 'HoldCredits' }>

type Ports = Pick<Runtime, 'pipelines' | 'limits' | 'clock'>

/** A check of the limit store, and how a refusal by it is told. */
type Check = LimitCheck & {
  readonly code: ErrorCode
  readonly policy: string
  readonly scope: string
  readonly what: string
  /** When it is over by itself: nobody needs to wait longer. */
  readonly until: string | null
}

/** Holds the credits of a job if the org may submit it. @throws DomainError */
export async function admit(
  ports: Ports,
  hold: Hold,
  subject: LimitSubject,
  context: CommandContext,
): Promise<Allowance | null> {
  const { accounts } = ports.pipelines
  const stream = accountStream(context.orgId)
  let account = accounts.peek(stream) ?? (await accounts.load(stream)).state
  for (let looks = 1; ; looks += 1) {
    const checks = checksOf(account, subject, hold.at)
    const allowance = checks.length > 0 ? await count(ports, account, hold, checks) : null
    try {
      const { version } = account.standing
      const command = { ...hold, standingVersion: version }
      const { events } = await accounts.handle(stream, command, context)
      if (events.length === 0 && allowance) await ports.limits.give(checks, ports.clock.now())
      return allowance
    } catch (error) {
      if (allowance) await ports.limits.give(checks, ports.clock.now())
      if (!isStale(error)) throw error
      if (looks >= looksMax) throw new DomainError('unavailable', 'The limits are being changed.')
      account = (await accounts.load(stream)).state
    }
  }
}

function isStale(error: unknown): boolean {
  return error instanceof DomainError && error.extra['isStale'] === true
}

/** What of the requests is counted where, for this job. */
function checksOf({ orgId, standing }: Account, subject: LimitSubject, at: string): Check[] {
  const checks: Check[] = []
  const throttle = throttleAt(standing, at)
  if (throttle) {
    checks.push({
      ...{ key: `${orgId}:throttle`, max: throttle.requestsPerMinute, cost: 1 },
      ...{ windowMs: throttleWindowMs, code: 'account_throttled', scope: 'org' },
      ...{ policy: 'org-throttle', what: 'The account is throttled to' },
      until: throttle.until,
    })
  }
  for (const applied of limitsFor(standing.limits, subject, at)) {
    const check = requestCheck(orgId ?? '', applied)
    if (check) checks.push(check)
  }
  return checks
}

function requestCheck(orgId: string, { limit, value }: AppliedLimit): Check | null {
  const { scope, kind, window, max, until } = limit
  if (kind !== 'requests' || window === null) return null
  const isProvider = scope === 'provider'
  // A provider's calls are counted where they are made; here they may only be used up.
  if (isProvider && window !== 'day' && window !== 'month') return null
  return {
    ...{
      key: requestCounter(orgId, { limit, value }),
      max: Number(max),
      windowMs: windowMs[window],
    },
    ...{ cost: isProvider ? 0 : 1, code: isProvider ? 'quota_exceeded' : 'rate_limited', scope },
    ...{ policy: `${scope}-${kind}`, what: `The ${scope === 'jobType' ? 'job type' : scope} has` },
    until,
  }
}

/**
 * Counts the request, if the account can be expected to take it.
 *
 * @returns null when it is not counted, as the hold is there already
 * @throws DomainError
 */
async function count(
  { pipelines, limits, clock }: Ports,
  account: Account,
  hold: Hold,
  checks: readonly Check[],
): Promise<Allowance | null> {
  if (wouldRefuse(account, hold)) {
    const { state } = await pipelines.accounts.load(accountStream(account.orgId ?? ''))
    accountDecider.decide(state, hold)
  }
  const now = clock.now()
  const decision = await limits.take(checks, now)
  const refused = refusedBy(checks, decision, now)
  if (decision.allowed) {
    if (!refused) return tightest(checks, decision.remaining)
    await limits.give(checks, now)
  }
  const { state } = await pipelines.accounts.load(accountStream(account.orgId ?? ''))
  if (knowsHold(state, hold.holdId)) return null
  throw refused ?? new DomainError('rate_limited', 'Too many requests.')
}

/** What the counters say against a request; null when they let it pass. */
function refusedBy(
  checks: readonly Check[],
  decision: LimitDecision,
  now: number,
): DomainError | null {
  if (!decision.allowed) {
    const check = checks.find(({ key }) => key === decision.key)
    const { used, retryAfterMs } = decision
    return check ? refusal(check, { used, retryAfterMs, now }) : null
  }
  const { remaining } = decision
  const usedUp = checks.find(({ cost }, index) => cost === 0 && remaining[index] === 0)
  if (!usedUp) return null
  const { max, windowMs: ms } = usedUp
  return refusal(usedUp, { used: max, retryAfterMs: ms / Math.max(max, 1), now })
}

function wouldRefuse(account: Account, hold: Hold): boolean {
  try {
    accountDecider.decide(account, hold)
    return false
  } catch (error) {
    if (error instanceof DomainError) return true
    throw error
  }
}

type Refused = { readonly used: number; readonly retryAfterMs: number; readonly now: number }

function refusal(check: Check, { used, retryAfterMs, now }: Refused): DomainError {
  const windowSeconds = check.windowMs / 1000
  const detail = `${check.what} ${check.max} requests per ${windowSeconds} s; ${used} are used.`
  const endsMs = check.until === null ? Infinity : Math.max(Date.parse(check.until) - now, 0)
  const waitMs = Math.min(retryAfterMs, endsMs)
  return new DomainError(check.code, detail, {
    ...{ limit: check.max, scope: check.scope, used, resetAt: isoTime(now + waitMs) },
    ...{ policy: check.policy, windowSeconds },
    retryAfterSeconds: Math.max(Math.ceil(waitMs / 1000), 1),
  })
}

/** The limit of which the smallest part is left. */
function tightest(checks: readonly Check[], remaining: readonly number[]): Allowance | null {
  let found: Allowance | null = null
  checks.forEach((check, index) => {
    const left = remaining[index] ?? 0
    const part = left / Math.max(check.max, 1)
    if (found && part >= found.remaining / Math.max(found.limit, 1)) return
    const usedMs = ((check.max - left) * check.windowMs) / Math.max(check.max, 1)
    found = {
      ...{ policy: check.policy, limit: check.max, windowSeconds: check.windowMs / 1000 },
      ...{ remaining: left, resetSeconds: Math.max(Math.ceil(usedMs / 1000), 0) },
    }
  })
  return found
}
