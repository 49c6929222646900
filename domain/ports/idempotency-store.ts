/** What a request with an Idempotency-Key was answered. */
export type StoredAnswer = {
  readonly status: number
  /** The body as it was sent. */
  readonly body: string
  readonly location: string | null
}

export type IdempotentRequest = {
  /** Org, method, path and key. */
  readonly scope: string
  /** Of the body as parsed JSON: the order of members does not matter. */
  readonly bodySha256: string
  /** What this request would make; a repetition after a crash makes the first one's. */
  readonly subjectId: string
  /** When it came, ms since the epoch: it is kept from then on. */
  readonly now: number
  /** The first request is taken for dead after this time, counted by the store's own clock. */
  readonly lockMs: number
}

export type Beginning =
  /** `lockedUntil` tells this beginning from others; ms since the epoch. */
  | { readonly kind: 'go'; readonly subjectId: string; readonly lockedUntil: number }
  | { readonly kind: 'in_flight' }
  | { readonly kind: 'mismatch' }
  | { readonly kind: 'answered'; readonly answer: StoredAnswer }

/** One answer per Idempotency-Key. Refusals are not kept: they may be tried again. */
export abstract class IdempotencyStore {
  abstract begin(request: IdempotentRequest): Promise<Beginning>

  abstract complete(scope: string, answer: StoredAnswer): Promise<void>

  /**
   * Forgets a request that was refused, unless another one has taken it over meanwhile.
   *
   * @param lockedUntil the end of the lock that it began with
   */
  abstract abandon(scope: string, lockedUntil: number): Promise<void>

  /**
   * Forgets keys older than `before`, ms since the epoch.
   *
   * @returns how many, `countMax` at most
   */
  abstract forget(before: number, countMax: number): Promise<number>
}
