/** What a worker may run now, and for how long. */
export type Lease = {
  readonly jobId: string
  readonly orgId: string
  readonly jobType: string
  /** Grows with every claim of the job: writes of an older holder are told by it. */
  readonly epoch: number
}

/** A lease that its holder did not renew, or has lost without noticing. */
export type ExpiredLease = Lease & {
  /** Null when the lease was ended already. */
  readonly owner: string | null
}

/** Leases that their owner works on and wants to keep. */
export type RenewalRequest = {
  readonly owner: string
  /** Of those alone: a lease that nobody works on any more must end. */
  readonly epochs: readonly number[]
  readonly leaseMs: number
}

/** What `renew` found. */
export type Renewal = {
  /** Epochs that are still held. Any other is lost: stop working on it at once. */
  readonly held: readonly number[]
  /** Epochs of those whose job somebody asked to cancel. */
  readonly cancelRequested: readonly number[]
}

/** What to claim. */
export type Claim = {
  readonly owner: string
  readonly jobTypes: readonly string[]
  readonly limit: number
  /** For what is due and which limits hold, ms since the epoch, from the Clock port. */
  readonly now: number
  readonly leaseMs: number
  /** Whom the jobs of each type call: limits on what runs at a provider count by it. */
  readonly providers?: ReadonlyMap<string, readonly string[]>
}

/** What `claim` found. */
export type Claimed = {
  readonly leases: readonly Lease[]
  /**
   * Whether others may wait that were not claimed: beyond the limit, or for a slot of their org.
   * When not, nothing has to be asked before something new is queued, or due.
   */
  readonly mayHaveMore: boolean
}

/**
 * Who works on what. Candidates are the rows of the `job_queue` read model; the lease rows belong
 * to this port. When a lease is over is told by one clock, the store's own: those of the machines
 * that ask may differ, and who is ahead must not take jobs away from those who run them.
 */
export abstract class LeaseStore {
  /**
   * Leases up to `limit` jobs that are due, held by nobody, and not behind a newer write: high
   * priority first, then by turn, then by id. Of the jobs that waited for a time, the `limit` that
   * are due longest compete. What would exceed a row of the read model `concurrency_limit` waits
   * for a slot, and whatever comes behind it may pass.
   */
  abstract claim(claim: Claim): Promise<Claimed>

  /** Extends leases in one statement. One that is over is not revived. */
  abstract renew(request: RenewalRequest): Promise<Renewal>

  /**
   * Ends a lease. `revision` is the job stream's last revision that the holder knows: nobody can
   * claim the job again before the queue has caught up with it. Does nothing for an older epoch.
   */
  abstract release(released: readonly ReleasedLease[]): Promise<void>

  /**
   * Leases whose time is over, oldest first, and ended ones whose job runs all the same: its holder
   * began it after the lease was taken away, so nobody will renew or end it.
   */
  abstract expired(limit: number): Promise<readonly ExpiredLease[]>

  /** Live jobs whose deadline is over. */
  abstract overdue(now: number, limit: number): Promise<readonly string[]>

  /** Forgets ended leases of jobs that left the queue. Returns how many. */
  abstract forget(limit: number): Promise<number>

  /**
   * Goes on where leases of the same log were kept elsewhere: those of running jobs are over, and
   * epochs grow beyond `epochMax`. Does nothing for a job that has a lease; safe to repeat.
   */
  abstract adopt(running: readonly Lease[], epochMax: number): Promise<void>
}

export type ReleasedLease = {
  readonly jobId: string
  readonly epoch: number
  readonly revision: number
}
