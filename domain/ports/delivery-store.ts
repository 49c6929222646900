/** A webhook to send, as the projection or a command writes it. */
export type NewDelivery = {
  /** The `webhook-id`: the same across all attempts. */
  readonly deliveryId: string
  readonly orgId: string
  /** null for what is not about a job. */
  readonly jobId: string | null
  /** null for a webhook that the job itself names. */
  readonly endpointId: string | null
  readonly url: string
  readonly eventType: string
  readonly sequence: number
  /** As it is signed and sent. */
  readonly body: string
  /** When the first attempt is due, and when the row came to be; ms since the epoch. */
  readonly nowMs: number
}

/** A delivery that a sender holds until `lockedUntilMs`, which also tells its claim from others. */
export type ClaimedDelivery = Omit<NewDelivery, 'nowMs'> & {
  /** Attempts that are over: 0 before the first. */
  readonly attempt: number
  /** By which deliveries are spread: host and port as the URL has them, in lower case. */
  readonly host: string
  readonly lockedUntilMs: number
}

/** What to claim. */
export type DeliveryClaim = {
  /** What is due by then. */
  readonly nowMs: number
  readonly limit: number
  /**
   * After this time another sender may claim a row again: its holder is taken for dead. It is
   * counted by one clock, the store's own.
   */
  readonly leaseMs: number
  /** At most so many deliveries of one host at once, those under way included. */
  readonly perHostMax: number
  /** How many deliveries the caller has under way by host. */
  readonly inFlightByHost: ReadonlyMap<string, number>
  /** At most so many deliveries of one org at once: its receivers may all be slow. */
  readonly perOrgMax: number
  readonly inFlightByOrg: ReadonlyMap<string, number>
}

/** How an attempt ended. `httpStatus` is null when there was no answer. */
export type DeliveryOutcome = {
  readonly httpStatus: number | null
  /** A short code, never the answer's text; null when delivered. */
  readonly error: string | null
} & (
  | { readonly kind: 'delivered' }
  | { readonly kind: 'retry'; readonly nextAttemptAtMs: number }
  | { readonly kind: 'parked' }
)

export type DeliveryStatus = 'pending' | 'delivered' | 'parked'

/** What is known of a delivery. */
export type DeliveryState = Omit<NewDelivery, 'body' | 'nowMs'> & {
  readonly status: DeliveryStatus
  readonly attempt: number
  readonly nextAttemptAtMs: number
  readonly lockedUntilMs: number | null
  readonly lastStatus: number | null
  readonly lastError: string | null
  readonly createdAtMs: number
}

/** A part of an org's deliveries. */
export type DeliveryQuery = {
  readonly orgId: string
  /** Null for all. */
  readonly status: DeliveryStatus | null
  /** Those beyond this one in the order of the list; null for its beginning. */
  readonly after: Pick<DeliveryState, 'createdAtMs' | 'deliveryId'> | null
  readonly limit: number
}

/**
 * Webhooks that wait for their time. Every row is delivered at least once or visibly parked: a
 * sender that dies loses its claims by time, and its rows are sent again.
 */
export abstract class DeliveryStore {
  /** Adds deliveries. Ids that are known stay as they are: a reaction may run twice. */
  abstract enqueue(deliveries: readonly NewDelivery[]): Promise<void>

  /**
   * Locks due rows that nobody holds, oldest first. Hosts take turns, so that a customer with a
   * slow receiver and a thousand rows delays only their own.
   */
  abstract claimDue(claim: DeliveryClaim): Promise<readonly ClaimedDelivery[]>

  /**
   * Writes the outcome of an attempt, counts the attempt and ends the claim.
   *
   * @returns false when the claim is lost, and nothing was written: somebody else sends it again
   */
  abstract finish(
    claimed: ClaimedDelivery,
    outcome: DeliveryOutcome,
    nowMs: number,
  ): Promise<boolean>

  /** Gives claims back without counting an attempt, so that a sender that stops delays nothing. */
  abstract release(claimed: readonly ClaimedDelivery[]): Promise<void>

  /** Looks one up. */
  abstract find(deliveryId: string): Promise<DeliveryState | null>

  /** Newest first; of the same time, the greater id first. */
  abstract list(query: DeliveryQuery): Promise<readonly DeliveryState[]>

  /**
   * Queues one that is over again: the same id, due now, its schedule from the beginning.
   *
   * @returns false when it is not over, or not there
   */
  abstract replay(deliveryId: string, nowMs: number): Promise<boolean>

  /**
   * Ends everything that waits, with `error` for its reason: visible, and to be queued again one
   * by one. For when somebody else has sent it. Returns how many.
   */
  abstract parkAll(error: string, nowMs: number): Promise<number>

  /**
   * Forgets deliveries from before `beforeMs` that were taken; what waits or is parked stays.
   *
   * @returns how many, `countMax` at most
   */
  abstract forget(beforeMs: number, countMax: number): Promise<number>
}

/** The longest name that the DNS knows has 253 characters; what is behind that spreads nothing. */
const hostCharactersMax = 255

/** The key by which deliveries are spread. It decides about fairness only, never about access. */
export function deliveryHost(url: string): string {
  const host = url.split(/[/?#\\]/)[2] ?? ''
  return Array.from(host).slice(0, hostCharactersMax).join('').toLowerCase()
}
