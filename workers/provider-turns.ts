import { accountStream } from '../domain/account/account.ts'
import { windowMs } from '../domain/account/limit-window.ts'
import { limitsFor, requestCounter } from '../domain/account/limits.ts'
import type { Limit } from '../domain/account/limits.ts'
import type { Pipelines } from '../domain/aggregates.ts'
import { isoTime, isRecent } from '../domain/ports/clock.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { Ids } from '../domain/ports/ids.ts'
import type { LimitCheck, LimitStore } from '../domain/ports/limit-store.ts'

/** How long the limits of an org are believed without another look, ms. */
const believedMs = 1_000
const believedMax = 10_000
/** A call waits for its turn this long, ms; the job gives up its place when it takes longer. */
const waitMsMax = 2_000
/** Postponed jobs of one org come back at different times, up to this many waits later. */
const spread = 3

/** The call's turn is far away: the job goes back to the queue until then, and has not failed. */
export class Postponed extends Error {
  override readonly name = 'Postponed'
  /** ms since the epoch. */
  readonly until: number

  constructor(until: number) {
    super('the limits of the provider leave no room yet')
    this.until = until
  }
}

export type TurnPorts = {
  readonly pipelines: Pick<Pipelines, 'accounts'>
  readonly limits: LimitStore
  readonly clock: Clock
  readonly ids: Ids
}

type Believed = { readonly limits: Promise<readonly Limit[]>; readonly since: number }

/** Lets an org's calls to a provider pass no faster than its limits say, over all workers. */
export class ProviderTurns {
  readonly #ports: TurnPorts
  readonly #believed = new Map<string, Believed>()

  constructor(ports: TurnPorts) {
    this.#ports = ports
  }

  /**
   * Resolves when the call may be made; it is counted then.
   *
   * @throws Postponed, and what the signal was aborted with
   */
  async wait(orgId: string, provider: string, signal: AbortSignal): Promise<void> {
    const { limits, clock, ids } = this.#ports
    const latest = clock.now() + waitMsMax
    for (;;) {
      const now = clock.now()
      const checks = await this.#checks(orgId, provider, now)
      if (checks.length === 0) return
      const decision = await limits.take(checks, now)
      if (decision.allowed) return
      const { retryAfterMs } = decision
      if (now + retryAfterMs > latest) {
        const waitMs = Math.max(retryAfterMs, waitMsMax)
        throw new Postponed(now + waitMs * (1 + ids.random01() * spread))
      }
      await clock.sleep(retryAfterMs, signal)
      signal.throwIfAborted()
    }
  }

  async #checks(orgId: string, provider: string, now: number): Promise<readonly LimitCheck[]> {
    const limits = await this.#limits(orgId, now)
    const subject = { userId: null, providers: [provider], jobType: null }
    return limitsFor(limits, subject, isoTime(now)).flatMap((applied): LimitCheck[] => {
      const { kind, scope, window, max } = applied.limit
      if (kind !== 'requests' || scope !== 'provider' || window === null) return []
      const key = requestCounter(orgId, applied)
      return [{ key, max: Number(max), windowMs: windowMs[window], cost: 1 }]
    })
  }

  #limits(orgId: string, now: number): Promise<readonly Limit[]> {
    const known = this.#believed.get(orgId)
    if (known && isRecent(known.since, now, believedMs)) return known.limits
    if (this.#believed.size >= believedMax) this.#believed.clear()
    const { accounts } = this.#ports.pipelines
    const limits = accounts.load(accountStream(orgId)).then(({ state }) => state.standing.limits)
    this.#believed.set(orgId, { limits, since: now })
    // Whoever waits for it hears of the failure; the next one looks again.
    limits.catch(() => this.#believed.delete(orgId))
    return limits
  }
}
