import type { Clock } from '../../domain/ports/clock.ts'
import type {
  Claim,
  ExpiredLease,
  Lease,
  ReleasedLease,
  Renewal,
  RenewalRequest,
} from '../../domain/ports/lease-store.ts'
import { LeaseStore } from '../../domain/ports/lease-store.ts'
import { Slots } from '../concurrency.ts'
import type { ConcurrencyLimit } from '../concurrency.ts'
import type { Row } from '../../domain/ports/read-model-store.ts'

/** What is read of a row of the read model `job_queue`. */
type Queued = {
  readonly jobId: string
  readonly orgId: string
  readonly userId: string | null
  readonly jobType: string
  readonly state: 'queued' | 'running'
  readonly priority: number
  readonly turn: number
  readonly runAt: string | null
  readonly deadlineAt: string | null
  readonly cancelRequested: boolean
  readonly revision: number
}

/** A lease as it is kept: without an owner it is ended, and `revision` is what its holder left. */
type Kept = {
  readonly lease: Lease
  readonly owner: string | null
  readonly expiresAt: number
  readonly revision: number
}

/** Leases in the memory of one process, over the rows of its `job_queue`. */
export class MemoryLeaseStore extends LeaseStore {
  readonly #clock: Clock
  readonly #rows: () => readonly Row[]
  readonly #limits: () => readonly Row[]
  readonly #kept = new Map<string, Kept>()
  #epoch = 0

  /** @param limits rows of the read model `concurrency_limit` */
  constructor(clock: Clock, rows: () => readonly Row[], limits: () => readonly Row[] = () => []) {
    super()
    this.#clock = clock
    this.#rows = rows
    this.#limits = limits
  }

  override async claim(claim: Claim) {
    const { owner, jobTypes, limit, now, leaseMs } = claim
    const slots = this.#slots(claim)
    const free = this.#queue()
      .filter(({ state, jobType }) => state === 'queued' && jobTypes.includes(jobType))
      .filter((row) => this.#isFree(row))
    const ready = free.filter(({ runAt }) => runAt === null).sort(byTurn)
    const due = free.filter(({ runAt }) => runAt !== null && Date.parse(runAt) <= now)
    const isLimited = this.#limits().length > 0
    const longestDue = due.sort(byRunAt).slice(0, isLimited ? due.length : limit)
    const inTurn = [...ready, ...longestDue].sort(byTurn)
    const chosen: Queued[] = []
    for (const row of inTurn) {
      if (chosen.length < limit && slots.take(row)) chosen.push(row)
    }
    const leases = chosen.map(({ jobId, orgId, jobType, revision }) => {
      this.#epoch += 1
      const lease = { jobId, orgId, jobType, epoch: this.#epoch }
      const expiresAt = this.#clock.now() + leaseMs
      const known = this.#kept.get(jobId)?.revision ?? revision
      this.#kept.set(jobId, { lease, owner, expiresAt, revision: known })
      return lease
    })
    return { leases, mayHaveMore: isLimited || leases.length === limit }
  }

  override async renew({ owner, epochs, leaseMs }: RenewalRequest): Promise<Renewal> {
    const now = this.#clock.now()
    const wanted = new Set(epochs)
    const held = [...this.#kept.values()]
      .filter((kept) => kept.owner === owner && wanted.has(kept.lease.epoch))
      .filter(({ expiresAt }) => expiresAt > now)
    for (const kept of held) {
      this.#kept.set(kept.lease.jobId, { ...kept, expiresAt: now + leaseMs })
    }
    const canceled = new Set(
      this.#queue().flatMap((row) => (row.cancelRequested ? [row.jobId] : [])),
    )
    const cancelRequested = held.filter(({ lease }) => canceled.has(lease.jobId))
    return { held: held.map(epochOf), cancelRequested: cancelRequested.map(epochOf) }
  }

  override async release(released: readonly ReleasedLease[]): Promise<void> {
    for (const { jobId, epoch, revision } of released) {
      const kept = this.#kept.get(jobId)
      if (kept?.lease.epoch !== epoch) continue
      const newest = Math.max(kept.revision, revision)
      this.#kept.set(jobId, {
        ...kept,
        owner: null,
        expiresAt: Number.MAX_SAFE_INTEGER,
        revision: newest,
      })
    }
  }

  override async expired(limit: number): Promise<readonly ExpiredLease[]> {
    const now = this.#clock.now()
    const running = new Map<string, number>()
    for (const { jobId, state, revision } of this.#queue()) {
      if (state === 'running') running.set(jobId, revision)
    }
    return [...this.#kept.values()]
      .filter(({ lease, owner, expiresAt, revision }) =>
        owner === null ? (running.get(lease.jobId) ?? -1) >= revision : expiresAt <= now,
      )
      .sort((a, b) => a.expiresAt - b.expiresAt)
      .slice(0, limit)
      .map(({ lease, owner }) => ({ ...lease, owner }))
  }

  override async overdue(now: number, limit: number): Promise<readonly string[]> {
    return this.#queue()
      .flatMap(({ jobId, deadlineAt }) =>
        deadlineAt === null ? [] : [{ jobId, at: Date.parse(deadlineAt) }],
      )
      .filter(({ at }) => at <= now)
      .sort((a, b) => a.at - b.at)
      .slice(0, limit)
      .map(({ jobId }) => jobId)
  }

  override async forget(limit: number): Promise<number> {
    const queued = new Set(this.#queue().map(({ jobId }) => jobId))
    const ended = [...this.#kept.values()]
      .filter(({ owner, lease }) => owner === null && !queued.has(lease.jobId))
      .slice(0, limit)
    for (const { lease } of ended) this.#kept.delete(lease.jobId)
    return ended.length
  }

  override async adopt(running: readonly Lease[], epochMax: number): Promise<void> {
    this.#epoch = Math.max(this.#epoch, epochMax)
    for (const lease of running) {
      if (this.#kept.has(lease.jobId)) continue
      const ended = { owner: null, expiresAt: Number.MAX_SAFE_INTEGER, revision: 0 }
      this.#kept.set(lease.jobId, { lease, ...ended })
    }
  }

  #slots({ now, providers }: Claim): Slots {
    type LimitRow = { readonly orgId: string; readonly limits: readonly ConcurrencyLimit[] }
    const rows = this.#limits() as unknown as readonly LimitRow[]
    const limits = new Map(rows.map((row) => [row.orgId, row.limits]))
    const slots = new Slots(limits, providers ?? new Map(), now)
    for (const row of this.#queue()) {
      if ((this.#kept.get(row.jobId)?.owner ?? null) !== null) slots.occupy(row, 1)
    }
    return slots
  }

  #isFree({ jobId, revision }: Queued): boolean {
    const kept = this.#kept.get(jobId)
    return kept === undefined || (kept.owner === null && kept.revision <= revision)
  }

  #queue(): readonly Queued[] {
    return this.#rows() as unknown as readonly Queued[]
  }
}

const epochOf = ({ lease }: Kept): number => lease.epoch

function byTurn(a: Queued, b: Queued): number {
  return a.priority - b.priority || a.turn - b.turn || (a.jobId < b.jobId ? -1 : 1)
}

function byRunAt(a: Queued, b: Queued): number {
  return Date.parse(a.runAt ?? '') - Date.parse(b.runAt ?? '')
}
