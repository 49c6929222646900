import type { Clock } from '../../domain/ports/clock.ts'
import {
  deliveryHost,
  DeliveryStore,
  type ClaimedDelivery,
  type DeliveryClaim,
  type DeliveryOutcome,
  type DeliveryQuery,
  type DeliveryState,
  type NewDelivery,
} from '../../domain/ports/delivery-store.ts'

type Row = DeliveryState & Pick<NewDelivery, 'body'> & { readonly host: string }

/** Deliveries in memory. */
export class MemoryDeliveryStore extends DeliveryStore {
  readonly #rows = new Map<string, Row>()
  readonly #clock: Clock

  /** @param clock tells when a claim ends */
  constructor(clock: Clock) {
    super()
    this.#clock = clock
  }

  override async enqueue(deliveries: readonly NewDelivery[]): Promise<void> {
    for (const { nowMs, ...delivery } of deliveries) {
      if (this.#rows.has(delivery.deliveryId)) continue
      this.#rows.set(delivery.deliveryId, {
        ...delivery,
        createdAtMs: nowMs,
        host: deliveryHost(delivery.url),
        status: 'pending',
        attempt: 0,
        nextAttemptAtMs: nowMs,
        lockedUntilMs: null,
        lastStatus: null,
        lastError: null,
      })
    }
  }

  override async claimDue(claim: DeliveryClaim): Promise<readonly ClaimedDelivery[]> {
    const { inFlightByHost, perHostMax, inFlightByOrg, perOrgMax } = claim
    const now = this.#clock.now()
    const lockedUntilMs = now + claim.leaseMs
    const free = [...this.#rows.values()].filter((row) => (row.lockedUntilMs ?? now) <= now)
    const due = free.filter((row) => isDue(row, claim.nowMs)).sort(byTime)
    const placed = numbered(due, ({ host }) => host, inFlightByHost)
      .filter(({ number }) => number <= perHostMax)
      .sort(byNumber)
      .map(({ row }) => row)
    return numbered(placed, ({ orgId }) => orgId, inFlightByOrg)
      .filter(({ number }) => number <= perOrgMax)
      .sort(byNumber)
      .slice(0, claim.limit)
      .map(({ row }) => ({ ...row, lockedUntilMs }))
      .sort(byTime)
      .map((row) => {
        this.#rows.set(row.deliveryId, row)
        return toClaimed(row, lockedUntilMs)
      })
  }

  override async finish(
    claimed: ClaimedDelivery,
    outcome: DeliveryOutcome,
    _nowMs: number,
  ): Promise<boolean> {
    const row = this.#held(claimed)
    if (row === null) return false
    const isRetry = outcome.kind === 'retry'
    this.#rows.set(row.deliveryId, {
      ...row,
      status: isRetry ? 'pending' : outcome.kind,
      attempt: row.attempt + 1,
      nextAttemptAtMs: isRetry ? outcome.nextAttemptAtMs : row.nextAttemptAtMs,
      lockedUntilMs: null,
      lastStatus: outcome.httpStatus,
      lastError: outcome.error,
    })
    return true
  }

  override async release(claimed: readonly ClaimedDelivery[]): Promise<void> {
    for (const each of claimed) {
      const row = this.#held(each)
      if (row !== null) this.#rows.set(row.deliveryId, { ...row, lockedUntilMs: null })
    }
  }

  override async find(deliveryId: string): Promise<DeliveryState | null> {
    const row = this.#rows.get(deliveryId)
    return row === undefined ? null : toState(row)
  }

  override async list(query: DeliveryQuery): Promise<readonly DeliveryState[]> {
    const { orgId, status, after, limit } = query
    return [...this.#rows.values()]
      .filter((row) => row.orgId === orgId && (status === null || row.status === status))
      .filter((row) => after === null || newestFirst(after, row) < 0)
      .sort(newestFirst)
      .slice(0, limit)
      .map(toState)
  }

  override async replay(deliveryId: string, nowMs: number): Promise<boolean> {
    const row = this.#rows.get(deliveryId)
    if (row === undefined || row.status === 'pending') return false
    const again = { status: 'pending', attempt: 0, nextAttemptAtMs: nowMs } as const
    this.#rows.set(deliveryId, { ...row, ...again })
    return true
  }

  override async parkAll(error: string): Promise<number> {
    const waiting = [...this.#rows.values()].filter(({ status }) => status === 'pending')
    for (const row of waiting) {
      const parked = { status: 'parked', lockedUntilMs: null, lastError: error } as const
      this.#rows.set(row.deliveryId, { ...row, ...parked })
    }
    return waiting.length
  }

  override async forget(beforeMs: number, countMax: number): Promise<number> {
    const taken = [...this.#rows.values()].filter(
      ({ status, createdAtMs }) => status === 'delivered' && createdAtMs < beforeMs,
    )
    const forgotten = taken.slice(0, countMax)
    for (const { deliveryId } of forgotten) this.#rows.delete(deliveryId)
    return forgotten.length
  }

  #held(claimed: ClaimedDelivery): Row | null {
    const row = this.#rows.get(claimed.deliveryId)
    if (row === undefined || row.lockedUntilMs !== claimed.lockedUntilMs) return null
    return row.status === 'pending' ? row : null
  }
}

type Numbered = { readonly row: Row; readonly number: number }

/** Rows with their number among those of one key, beyond what is under way of it. */
function numbered(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  inFlight: ReadonlyMap<string, number>,
): Numbered[] {
  const last = new Map(inFlight)
  return rows.map((row) => {
    const number = (last.get(keyOf(row)) ?? 0) + 1
    last.set(keyOf(row), number)
    return { row, number }
  })
}

function byNumber(left: Numbered, right: Numbered): number {
  return left.number - right.number || byTime(left.row, right.row)
}

function isDue(row: Row, nowMs: number): boolean {
  return row.status === 'pending' && row.nextAttemptAtMs <= nowMs
}

function byTime(left: Row, right: Row): number {
  const order = left.nextAttemptAtMs - right.nextAttemptAtMs
  return order !== 0 ? order : left.deliveryId < right.deliveryId ? -1 : 1
}

type Place = Pick<DeliveryState, 'createdAtMs' | 'deliveryId'>

function newestFirst(left: Place, right: Place): number {
  const order = right.createdAtMs - left.createdAtMs
  if (order !== 0 || left.deliveryId === right.deliveryId) return order
  return left.deliveryId > right.deliveryId ? -1 : 1
}

function toState({ body: _, host: __, ...state }: Row): DeliveryState {
  return state
}

function toClaimed(row: Row, lockedUntilMs: number): ClaimedDelivery {
  const { deliveryId, orgId, jobId, endpointId, url, host, eventType, sequence, body } = row
  const what = { deliveryId, orgId, jobId, endpointId, url, host, eventType, sequence, body }
  return { ...what, attempt: row.attempt, lockedUntilMs }
}
