import type { Clock } from '../../domain/ports/clock.ts'
import { Ids } from '../../domain/ports/ids.ts'
import { v7 } from 'uuid'
import { deriveId } from '../system/ids.ts'

/** Ids and randomness that repeat: the same seed and the same time give the same sequence. */
export class SimulatedIds extends Ids {
  readonly #clock: Clock
  #state: number
  #sequence = 0

  constructor(seed: number, clock: Clock) {
    super()
    this.#clock = clock
    this.#state = seed >>> 0
  }

  override next(): string {
    const random = Uint8Array.from({ length: 16 }, () => this.random01() * 256)
    this.#sequence += 1
    return v7({ msecs: this.#clock.now(), seq: this.#sequence, random })
  }

  override derive(...cause: readonly string[]): string {
    return deriveId(cause)
  }

  override bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.random01() * 256)
  }

  /** mulberry32: small, and even enough for jitter and choices. */
  override random01(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
