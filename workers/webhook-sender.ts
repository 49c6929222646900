import { assert } from '../domain/assert.ts'
import type { Clock } from '../domain/ports/clock.ts'
import { EngineUnavailable } from '../domain/ports/engine-unavailable.ts'
import type { Ids } from '../domain/ports/ids.ts'
import type {
  ClaimedDelivery,
  DeliveryOutcome,
  DeliveryStore,
} from '../domain/ports/delivery-store.ts'
import type { WebhookAnswer, WebhookTransport } from '../domain/ports/webhook-transport.ts'
import { isGone, outcomeOf } from '../domain/webhook/outcome.ts'
import type { DisableEndpoint } from './disable-endpoint.ts'

const inFlightMax = 50
const perHostMax = 5
/** Of those in flight: an org whose receivers are all slow leaves room for the others. */
const perOrgMax = 40
// A poll of an empty table is one index probe; wake() makes the common case faster than this.
const pollMs = 500
// Must outlast one attempt, which the transport ends after 15 s, and the writing of its outcome.
// What a killed sender held is sent again after it, within the 30 s in which a backlog drains.
const leaseMs = 20_000

/** A reason of our own: without one, each abort would make an error with its stack. */
const woken = 'woken'

/** What the sender did, for logs and metrics. It carries no URL and no body. */
export type SenderReport =
  | {
      readonly type: 'attempt'
      readonly outcome: DeliveryOutcome['kind']
      readonly deliveryId: string
      readonly orgId: string
      readonly jobId: string | null
      readonly eventType: string
      /** This one included. */
      readonly attempt: number
      readonly httpStatus: number | null
      readonly error: string | null
      readonly durationMs: number
    }
  /** The attempt took longer than the claim; somebody else sends it again. */
  | { readonly type: 'claim_lost'; readonly deliveryId: string }
  /** The store or the log could not be used; `error` as thrown. */
  | { readonly type: 'store_failed'; readonly error: unknown }
  /** The transport threw, which it should not; the attempt counts as failed. */
  | { readonly type: 'transport_failed'; readonly deliveryId: string; readonly error: unknown }

export type WebhookSenderOptions = {
  readonly store: DeliveryStore
  readonly transport: WebhookTransport
  readonly clock: Clock
  readonly ids: Pick<Ids, 'random01'>
  /** Called when an endpoint has answered 410, before the outcome is written. */
  readonly disable: DisableEndpoint
  readonly report: (report: SenderReport) => void
}

/** An attempt under way. Each has its own controller: one signal would collect 50 listeners. */
type InFlight = {
  readonly host: string
  readonly orgId: string
  readonly cut: AbortController
  readonly work: Promise<void>
}

/**
 * Sends the webhooks that are due.
 *
 *   due ─claim─▶ sending ─2xx─▶ delivered
 *    ▲              ├─410, or the schedule is used up─▶ parked
 *    ├── later ◀────┴─anything else
 *    └── now ◀── stopped, or the claim ran out
 */
export class WebhookSender {
  readonly name = 'webhook-sender'
  readonly #options: WebhookSenderOptions
  readonly #inFlight = new Set<InFlight>()
  #isStopping = false
  #isGivingUp = false
  #pause = new AbortController()
  #running: Promise<void> | null = null

  constructor(options: WebhookSenderOptions) {
    this.#options = options
  }

  start(): void {
    assert(this.#running === null, 'a webhook sender starts once')
    this.#running = this.#run()
  }

  /** Looks for due deliveries at once. For the projection that has just written some. */
  wake(): void {
    this.#pause.abort(woken)
  }

  /**
   * Claims nothing more and waits for the attempts under way. When the signal aborts, they are cut
   * and given back.
   */
  async stop(signal: AbortSignal): Promise<void> {
    const giveUp = () => {
      this.#isGivingUp = true
      for (const { cut } of this.#inFlight) cut.abort()
    }
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    this.#isStopping = true
    this.wake()
    await this.#running
    await Promise.all([...this.#inFlight].map(({ work }) => work))
    signal.removeEventListener('abort', giveUp)
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      // Taken before looking: what wakes us while we look is not slept through.
      this.#pause = new AbortController()
      const claimed = await this.#claim()
      for (const delivery of claimed) this.#begin(delivery)
      if (claimed.length === 0) await this.#options.clock.sleep(pollMs, this.#pause.signal)
    }
  }

  async #claim(): Promise<readonly ClaimedDelivery[]> {
    const limit = inFlightMax - this.#inFlight.size
    if (limit === 0) return []
    const { store, clock, report } = this.#options
    const inFlightByHost = this.#inFlightBy(({ host }) => host)
    const inFlightByOrg = this.#inFlightBy(({ orgId }) => orgId)
    try {
      return await store.claimDue({
        nowMs: clock.now(),
        limit,
        leaseMs,
        perHostMax,
        inFlightByHost,
        perOrgMax,
        inFlightByOrg,
      })
    } catch (error) {
      report({ type: 'store_failed', error })
      return []
    }
  }

  #inFlightBy(keyOf: (attempt: InFlight) => string): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const attempt of this.#inFlight) {
      counts.set(keyOf(attempt), (counts.get(keyOf(attempt)) ?? 0) + 1)
    }
    return counts
  }

  #begin(delivery: ClaimedDelivery): void {
    const cut = new AbortController()
    // The claim may have been answered while the sender was told to hurry.
    if (this.#isGivingUp) cut.abort()
    const work = this.#deliver(delivery, cut.signal).finally(() => {
      this.#inFlight.delete(attempt)
      this.wake()
    })
    const { host, orgId } = delivery
    const attempt: InFlight = { host, orgId, cut, work }
    this.#inFlight.add(attempt)
  }

  /** Never rejects: a row of which no outcome was written comes back when its claim ends. */
  async #deliver(delivery: ClaimedDelivery, signal: AbortSignal): Promise<void> {
    const { store, clock, ids, report } = this.#options
    const startedAtMs = clock.now()
    try {
      const answer = await this.#send(delivery, startedAtMs, signal)
      if (answer === null) {
        await store.release([delivery])
        return
      }
      const { deliveryId, orgId, jobId, endpointId, eventType } = delivery
      if (endpointId !== null && isGone(answer)) {
        await this.#options.disable({ orgId, endpointId, deliveryId })
      }
      const nowMs = clock.now()
      const attempt = delivery.attempt + 1
      const outcome = outcomeOf(answer, { attempt, nowMs, random01: ids.random01() })
      if (!(await store.finish(delivery, outcome, nowMs))) {
        report({ type: 'claim_lost', deliveryId })
        return
      }
      const { kind, httpStatus, error } = outcome
      const durationMs = nowMs - startedAtMs
      const what = { deliveryId, orgId, jobId, eventType, attempt, httpStatus, error, durationMs }
      report({ type: 'attempt', outcome: kind, ...what })
    } catch (error) {
      report({ type: 'store_failed', error })
    }
  }

  /**
   * null when the sender is stopping and the attempt was cut.
   *
   * @throws EngineUnavailable when it could not even be signed
   */
  async #send(
    delivery: ClaimedDelivery,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<WebhookAnswer | null> {
    const { transport, report } = this.#options
    try {
      signal.throwIfAborted()
      return await transport.send(delivery, nowMs, signal)
    } catch (error) {
      if (signal.aborted) return null
      // Its secrets stand in a log that is away: nothing was sent, so this is nobody's answer.
      if (error instanceof EngineUnavailable) throw error
      report({ type: 'transport_failed', deliveryId: delivery.deliveryId, error })
      return { kind: 'failed', error: 'internal' }
    }
  }
}
