/** What a worker may run now, and for how long. */
export type Lease = {
  readonly jobId: string
  readonly orgId: string
  readonly jobType: string
  /** Grows with every claim of the job: writes of an older holder are told by it. */
  readonly epoch: number
}

/** A lease that its holder did not renew. */
export type ExpiredLease = Lease & { readonly owner: string }

/** What `renew` found. */
export type Renewal = {
  /** Jobs that the owner still holds. Any other is lost: stop working on it at once. */
  readonly held: readonly string[]
  /** Jobs of the owner that somebody asked to cancel. */
  readonly cancelRequested: readonly string[]
}

/** What to claim. */
export type Claim = {
  readonly owner: string
  readonly jobTypes: readonly string[]
  readonly limit: number
  /** ms since the epoch, from the Clock port. */
  readonly now: number
  readonly leaseMs: number
}

/**
 * Who works on what. Candidates are the rows of the `job_queue` read model; the lease rows belong
 * to this port. High priority first, then fair between orgs, then oldest.
 */
export abstract class LeaseStore {
  /** Leases up to `limit` jobs that are due, held by nobody, and not behind a newer write. */
  abstract claim(claim: Claim): Promise<readonly Lease[]>

  /** Extends every lease of the owner in one statement. */
  abstract renew(owner: string, now: number, leaseMs: number): Promise<Renewal>

  /**
   * Ends a lease. `revision` is the job stream's last revision that the holder knows: nobody can
   * claim the job again before the queue has caught up with it. Does nothing for an older epoch.
   */
  abstract release(released: readonly ReleasedLease[]): Promise<void>

  /** Leases whose time is over, oldest first. */
  abstract expired(now: number, limit: number): Promise<readonly ExpiredLease[]>

  /** Live jobs whose deadline is over. */
  abstract overdue(now: number, limit: number): Promise<readonly string[]>

  /** Forgets ended leases of jobs that left the queue. Returns how many. */
  abstract forget(limit: number): Promise<number>
}

export type ReleasedLease = {
  readonly jobId: string
  readonly epoch: number
  readonly revision: number
}
