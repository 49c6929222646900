import type { Clock } from '../../domain/ports/clock.ts'
import {
  RelayCheckpoint,
  type RelayClaim,
  type RelayLease,
  type RelayMove,
  type RelayStand,
} from '../../domain/ports/relay-checkpoint.ts'

/** The relay's checkpoint within one process. */
export class MemoryRelayCheckpoint extends RelayCheckpoint {
  #stand: RelayStand = { position: null, mark: null }
  #epoch = 0
  #expiresAt = 0
  readonly #clock: Clock

  constructor(clock: Clock) {
    super()
    this.#clock = clock
  }

  override async acquire({ leaseMs }: RelayClaim): Promise<RelayLease | null> {
    const now = this.#clock.now()
    if (now < this.#expiresAt) return null
    this.#epoch += 1
    this.#expiresAt = now + leaseMs
    return { epoch: this.#epoch, stand: this.#stand }
  }

  override async move({ epoch, from, to, leaseMs }: RelayMove): Promise<boolean> {
    if (epoch !== this.#epoch || from !== this.#stand.position) return false
    this.#stand = to
    this.#expiresAt = this.#clock.now() + leaseMs
    return true
  }

  override async release(epoch: number): Promise<void> {
    if (epoch === this.#epoch) this.#expiresAt = 0
  }

  override async stand(): Promise<RelayStand> {
    return this.#stand
  }
}
