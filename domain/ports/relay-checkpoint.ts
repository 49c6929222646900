/** How far the log has been published. */
export type RelayStand = {
  /** Null before the first event. */
  readonly position: string | null
  /** What the publisher gave for it; null when it has published nothing yet. */
  readonly mark: string | null
}

/** The right to publish, for a while. */
export type RelayLease = {
  /** Grows with every holder: writes of an older one are told by it. */
  readonly epoch: number
  readonly stand: RelayStand
}

/** Who wants the lease, and for how long. */
export type RelayClaim = {
  readonly owner: string
  readonly leaseMs: number
}

/** A step of the checkpoint, which also extends the lease. */
export type RelayMove = {
  readonly epoch: number
  /** Where the holder knows it to stand. */
  readonly from: string | null
  readonly to: RelayStand
  readonly leaseMs: number
}

/**
 * Where the relay stands, and who may move it: one lease for all processes. When it is over is told
 * by one clock, the store's own.
 */
export abstract class RelayCheckpoint {
  /** Takes the lease when nobody holds it, in a new epoch; null while somebody does. */
  abstract acquire(claim: RelayClaim): Promise<RelayLease | null>

  /**
   * Moves the checkpoint, only when the epoch is the newest and it still stands at `from`. False
   * for a holder that was replaced: stop publishing at once.
   */
  abstract move(move: RelayMove): Promise<boolean>

  /** Ends the lease. Does nothing for an older epoch. */
  abstract release(epoch: number): Promise<void>

  /** Where it stands now, for lag figures. */
  abstract stand(): Promise<RelayStand>
}
