import type { Clock } from '../../domain/ports/clock.ts'
import type {
  Beginning,
  IdempotentRequest,
  StoredAnswer,
} from '../../domain/ports/idempotency-store.ts'
import { IdempotencyStore } from '../../domain/ports/idempotency-store.ts'

type Entry = {
  readonly bodySha256: string
  readonly subjectId: string
  readonly createdAt: number
  lockedUntil: number
  answer: StoredAnswer | null
}

export class MemoryIdempotencyStore extends IdempotencyStore {
  readonly #entries = new Map<string, Entry>()
  readonly #clock: Clock

  /** @param clock tells when a lock ends */
  constructor(clock: Clock) {
    super()
    this.#clock = clock
  }

  override async begin(request: IdempotentRequest): Promise<Beginning> {
    const { scope, bodySha256, subjectId, now, lockMs } = request
    const entry = this.#entries.get(scope)
    const lockedUntil = this.#clock.now() + lockMs
    if (!entry) {
      const created = { bodySha256, subjectId, createdAt: now, lockedUntil, answer: null }
      this.#entries.set(scope, created)
      return { kind: 'go', subjectId, lockedUntil }
    }
    if (entry.bodySha256 !== bodySha256) return { kind: 'mismatch' }
    if (entry.answer) return { kind: 'answered', answer: entry.answer }
    if (entry.lockedUntil > this.#clock.now()) return { kind: 'in_flight' }
    entry.lockedUntil = lockedUntil
    return { kind: 'go', subjectId: entry.subjectId, lockedUntil }
  }

  override async complete(scope: string, answer: StoredAnswer): Promise<void> {
    const entry = this.#entries.get(scope)
    if (entry) entry.answer ??= answer
  }

  override async abandon(scope: string, lockedUntil: number): Promise<void> {
    const entry = this.#entries.get(scope)
    if (entry?.answer === null && entry.lockedUntil === lockedUntil) this.#entries.delete(scope)
  }

  override async forget(before: number, countMax: number): Promise<number> {
    const old = [...this.#entries].filter(([, { createdAt }]) => createdAt < before)
    const forgotten = old.slice(0, countMax)
    for (const [scope] of forgotten) this.#entries.delete(scope)
    return forgotten.length
  }
}
