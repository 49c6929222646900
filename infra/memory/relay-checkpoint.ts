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

  override async acquire({ now, leaseMs }: RelayClaim): Promise<RelayLease | null> {
    if (now < this.#expiresAt) return null
    this.#epoch += 1
    this.#expiresAt = now + leaseMs
    return { epoch: this.#epoch, stand: this.#stand }
  }

  override async move({ epoch, from, to, now, leaseMs }: RelayMove): Promise<boolean> {
    if (epoch !== this.#epoch || from !== this.#stand.position) return false
    this.#stand = to
    this.#expiresAt = now + leaseMs
    return true
  }

  override async release(epoch: number): Promise<void> {
    if (epoch === this.#epoch) this.#expiresAt = 0
  }

  override async stand(): Promise<RelayStand> {
    return this.#stand
  }
}
