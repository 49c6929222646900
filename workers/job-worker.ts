import { DomainError } from '../domain/errors.ts'
import { holdIdOf, jobStream } from '../domain/job/job.ts'
import type { Job, JobState } from '../domain/job/job.ts'
import type { Announcements } from '../domain/ports/announcements.ts'
import type { Loaded } from '../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../domain/ports/clock.ts'
import type { Lease, LeaseStore } from '../domain/ports/lease-store.ts'
import type { Signals } from '../domain/ports/signals.ts'
import type { JobType } from './handlers/job-type.ts'
import { AttemptStopped, JobAttempt } from './job-attempt.ts'
import type { AttemptPorts, StopReason } from './job-attempt.ts'
import type { Loop, LoopReport } from './loop.ts'
import { settleHold } from './settle-hold.ts'
import type { JobEnding } from './settle-hold.ts'

/** Announcements may be lost; then this is how late a job starts, ms. */
const pollMs = 1_000
/** Leases claimed in one statement at most. */
const claimMax = 200
/** A reason of our own: without one, each abort would make an error with its stack. */
const woken = 'woken'
/** Pause after a claim that failed, ms. */
const failurePauseMs = 500

export type JobWorkerOptions = AttemptPorts & {
  /** Of this run of this process: two that share it would renew each other's leases. */
  readonly workerId: string
  readonly leases: LeaseStore
  readonly announcements: Announcements
  readonly signals: Signals
  readonly jobTypes: ReadonlyMap<string, JobType>
  /** Jobs that run at the same time in this process. */
  readonly concurrency: number
  readonly leaseMs: number
  readonly report: LoopReport
  /** Told at the end of each attempt. */
  readonly attempted: (attempt: AttemptReport) => void
}

export type AttemptReport = {
  readonly job: Job
  readonly epoch: number
  readonly ms: number
  readonly outcome: Job['status'] | 'lease_lost'
}

/** A lease that this process holds, from its claim until it was given back. */
type Held = {
  readonly lease: Lease
  /** As far as this process knows, ms since the epoch. */
  endsAt: number
  /** Null until the job has begun. */
  attempt: JobAttempt | null
  /** Why the attempt has to stop, when it has to. */
  stopped: StopReason | null
}

/**
 * Claims jobs as far as it has room, runs an attempt of each, and gives every lease back.
 *
 *   claim ─▶ JobStarted ─▶ handler ─▶ JobSucceeded | JobRetryScheduled | … ─▶ release
 *
 * One statement renews all leases of the process. Whatever is not in its answer is lost: the
 * attempt is stopped, and what it may still write is refused by its epoch.
 */
export class JobWorker implements Loop {
  readonly name = 'job-worker'
  readonly #options: JobWorkerOptions
  /** By epoch: a lease that was lost may be claimed again here while its attempt still ends. */
  readonly #held = new Map<number, Held>()
  readonly #stopping = new AbortController()
  readonly #over = new AbortController()
  /** Whom the jobs of each type call. */
  readonly #providers: ReadonlyMap<string, readonly string[]>
  #wake = new AbortController()
  /** Whether a slot that becomes free may find a job that waits. */
  #mayHaveMore = true
  #claiming: Promise<void> = Promise.resolve()
  #renewing: Promise<void> = Promise.resolve()
  #unlisten: readonly (() => Promise<void>)[] = []
  #idle: () => void = () => undefined

  constructor(options: JobWorkerOptions) {
    this.#options = options
    const types = [...options.jobTypes.values()]
    this.#providers = new Map(types.map(({ type, providers }) => [type, providers]))
  }

  /** Jobs that run now. */
  get running(): number {
    return this.#held.size
  }

  start(): void {
    this.#claiming = this.#claimLoop()
    void this.#listen()
    this.#renewing = this.#renewLoop()
  }

  /** Claims nothing more and lets the attempts end; when the signal aborts, gives them back. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort()
    this.#wake.abort(woken)
    // A claim on its way may bring more.
    await this.#claiming
    const giveBack = (): void => this.#stopAll('shutdown')
    signal.addEventListener('abort', giveBack, { once: true })
    if (signal.aborted) giveBack()
    if (this.#held.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    signal.removeEventListener('abort', giveBack)
    this.#over.abort()
    await this.#renewing
    await this.#hearNoMore()
  }

  async #listen(): Promise<void> {
    const { announcements, signals, jobTypes } = this.#options
    const heard = (): void => this.#wake.abort(woken)
    const listening = Promise.all([
      announcements.listen([...jobTypes.keys()], heard),
      signals.subscribe('job_cancel', ({ jobIds }) => {
        if (!Array.isArray(jobIds)) return
        const canceled = new Set(jobIds.map(String))
        for (const held of this.#held.values()) {
          if (canceled.has(held.lease.jobId)) stopHeld(held, 'cancel')
        }
      }),
    ])
    // It takes long while an engine is away: a worker that is told to stop does not wait for it.
    const { signal } = this.#over
    this.#unlisten = await listening.catch((error: unknown) => {
      if (!signal.aborted) throw error
      return []
    })
    if (signal.aborted) await this.#hearNoMore()
  }

  async #hearNoMore(): Promise<void> {
    await Promise.all(this.#unlisten.map((unlisten) => unlisten()))
  }

  async #claimLoop(): Promise<void> {
    const { clock, report } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      this.#wake = new AbortController()
      try {
        const claimed = await this.#claim()
        if (claimed > 0 && this.#mayHaveMore) continue
        await clock.sleep(pollMs, this.#wake.signal)
      } catch (error) {
        report('error', { err: error }, 'claim failed')
        await clock.sleep(failurePauseMs, signal)
      }
    }
  }

  /** Claims as many as there is room for. Returns how many were there. */
  async #claim(): Promise<number> {
    const { leases, workerId: owner, concurrency, clock, leaseMs } = this.#options
    let count = 0
    let mayHaveMore = false
    // Nobody knows until the answer is there: what ends meanwhile asks again.
    this.#mayHaveMore = true
    for (const { jobTypes, room } of this.#rooms()) {
      if (jobTypes.length === 0) continue
      const limit = Math.min(claimMax, room, concurrency - this.#held.size)
      mayHaveMore ||= limit <= 0
      if (limit <= 0) continue
      const now = clock.now()
      const providers = this.#providers
      const claimed = await leases.claim({ owner, jobTypes, limit, now, leaseMs, providers })
      mayHaveMore ||= claimed.mayHaveMore
      for (const lease of claimed.leases) {
        const held: Held = { lease, endsAt: now + leaseMs, attempt: null, stopped: null }
        this.#held.set(lease.epoch, held)
        void this.#work(held)
      }
      count += claimed.leases.length
    }
    this.#mayHaveMore = mayHaveMore
    return count
  }

  /** What may be claimed together: a job type with a limit of its own is claimed alone. */
  #rooms(): readonly { readonly jobTypes: readonly string[]; readonly room: number }[] {
    const counts = new Map<string, number>()
    for (const { lease } of this.#held.values()) {
      counts.set(lease.jobType, (counts.get(lease.jobType) ?? 0) + 1)
    }
    const free: string[] = []
    const rooms: { jobTypes: readonly string[]; room: number }[] = []
    for (const { type, concurrencyMax } of this.#options.jobTypes.values()) {
      if (concurrencyMax === undefined) free.push(type)
      else rooms.push({ jobTypes: [type], room: concurrencyMax - (counts.get(type) ?? 0) })
    }
    return [...rooms, { jobTypes: free, room: Infinity }]
  }

  async #work(held: Held): Promise<void> {
    const { report, leases } = this.#options
    const { jobId, epoch } = held.lease
    try {
      const left = await this.#attempt(held)
      // Otherwise the attempt has not ended in the log: the rescuer will end it.
      if (left) {
        const { state, revision } = left
        const released = leases.release([{ jobId, epoch, revision }])
        await Promise.all([released, this.#settle(state, epoch)])
      }
    } catch (error) {
      report('error', { err: error, jobId, epoch }, 'attempt could not be ended')
    } finally {
      this.#held.delete(epoch)
      this.#options.progress.forget(jobId)
      if (this.#mayHaveMore) this.#wake.abort(woken)
      if (this.#held.size === 0 && this.#stopping.signal.aborted) this.#idle()
    }
  }

  /**
   * Settles the hold of a job that ended here, together with the usage of others on that account.
   * Should it fail, the settlement loop does it a moment later.
   */
  async #settle(job: JobState, epoch: number): Promise<void> {
    if (job.status === 'absent' || job.status === 'abandoned' || job.epoch !== epoch) return
    const ending = endingOf(job)
    if (ending === null) return
    const { pipelines, ids, report } = this.#options
    const { jobId, orgId, traceparent } = job.spec
    const holdId = holdIdOf(jobId, job.requeues)
    const commandId = ids.next()
    const context = { commandId, orgId, actor: 'worker', correlationId: jobId, traceparent }
    await settleHold(pipelines, { jobId, holdId, ending }, context).catch((error: unknown) => {
      report('warn', { err: error, jobId }, 'hold could not be settled yet')
    })
  }

  /** Returns the job as it was left; null when somebody else has it. */
  async #attempt(held: Held): Promise<Loaded<JobState> | null> {
    const { clock, pipelines, attempted, jobTypes } = this.#options
    const { lease } = held
    const type = jobTypes.get(lease.jobType)
    const started = await this.#begin(lease)
    const { state, revision } = started
    if (!isRunningUnder(state, lease.epoch) || !type) return started
    const attempt = new JobAttempt(this.#options, lease, type, { state, revision })
    held.attempt = attempt
    if (held.stopped) attempt.stop(held.stopped)
    const startedAt = clock.now()
    try {
      const ended = await attempt.run()
      const { status } = ended.state
      const ms = clock.now() - startedAt
      attempted({ job: ended.state, epoch: lease.epoch, ms, outcome: status })
      return status === 'running' ? null : ended
    } catch (error) {
      if (!(error instanceof AttemptStopped)) throw error
      const ms = clock.now() - startedAt
      attempted({ job: state, epoch: lease.epoch, ms, outcome: 'lease_lost' })
      return null
    } finally {
      pipelines.jobs.forget(jobStream(lease.jobId))
    }
  }

  /** Writes JobStarted. A refusal means that the queue was behind: the job needs no worker. */
  async #begin(lease: Lease) {
    const { pipelines, clock, ids, workerId, report } = this.#options
    const { jobId, orgId, epoch } = lease
    const stream = jobStream(jobId)
    const { state } = await pipelines.jobs.glance(stream)
    const traceparent = traceparentOf(state)
    const commandId = ids.next()
    const actor = `worker:${workerId}`
    const context = { commandId, orgId, actor, correlationId: jobId, traceparent }
    const at = isoTime(clock.now())
    try {
      const command = { type: 'StartJob' as const, epoch, workerId, at }
      return await pipelines.jobs.handle(stream, command, context)
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'conflict') throw error
      report('info', { jobId, epoch }, 'lease given back: the job needs no worker')
      return pipelines.jobs.load(stream)
    }
  }

  async #renewLoop(): Promise<void> {
    const { clock, leaseMs } = this.#options
    while (!this.#over.signal.aborted) {
      // A quarter of the lease: two renewals in a row may fail before anything is lost.
      await clock.sleep(leaseMs / 4, this.#over.signal)
      if (this.#held.size > 0) await this.#renew()
    }
  }

  async #renew(): Promise<void> {
    const { leases, workerId: owner, clock, leaseMs, report } = this.#options
    const asked = new Map(this.#held)
    const now = clock.now()
    try {
      const epochs = [...asked.keys()]
      const { held, cancelRequested } = await leases.renew({ owner, epochs, leaseMs })
      const canceled = new Set(cancelRequested)
      const kept = new Set(held)
      for (const [epoch, each] of asked) {
        each.endsAt = kept.has(epoch) ? now + leaseMs : now
        if (canceled.has(epoch)) stopHeld(each, 'cancel')
      }
    } catch (error) {
      report('warn', { err: error }, 'leases could not be renewed')
    }
    for (const each of asked.values()) {
      if (each.endsAt <= clock.now()) stopHeld(each, 'lease_lost')
    }
  }

  #stopAll(reason: StopReason): void {
    for (const held of this.#held.values()) stopHeld(held, reason)
  }
}

/** Stops an attempt, now or as soon as it begins; one that has ended does not mind. */
function stopHeld(held: Held, reason: StopReason): void {
  held.stopped ??= reason
  held.attempt?.stop(reason)
}

function isRunningUnder(state: JobState, epoch: number): state is Job {
  return state.status === 'running' && state.epoch === epoch
}

function endingOf({ status }: Job): JobEnding | null {
  return status === 'queued' || status === 'running' ? null : status
}

function traceparentOf(state: JobState): string | null {
  return state.status === 'absent' || state.status === 'abandoned' ? null : state.spec.traceparent
}
