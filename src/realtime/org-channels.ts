import { Inject, Injectable } from '@nestjs/common'
import { isFinished, jobStream } from '../../domain/job/job.ts'
import type { JobState } from '../../domain/job/job.ts'
import { jobTransitions } from '../../domain/job/job-view.ts'
import type { JobEventView } from '../../domain/job/job-view.ts'
import { readAll } from '../../domain/ports/event-store.ts'
import { CreditReader, getBalance } from '../queries/get-credits.ts'
import type { Balance } from '../queries/get-credits.ts'
import { jobEvents, showTransitions } from '../queries/get-job.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Jobs of which is remembered what was told, so that an org hears a transition once. */
const rememberedMax = 20_000

/** Pause before what could not be read is read again, ms. */
const retryMs = 1_000

/** How far a job was told. */
type Told = {
  /** The state there; unknown of a job that has ended. */
  state: JobState | null
  revision: number
  /** The last revision that a signal has named. */
  heard: number
  isBeingRead: boolean
}

type Listener<T> = (value: T) => void

/** Live only: every transition of an org's jobs, and its balance when it moves. */
@Injectable()
export class OrgChannels {
  readonly #runtime: Runtime
  readonly #jobs = new Map<string, Set<Listener<JobEventView>>>()
  readonly #balances = new Map<string, Set<Listener<Balance>>>()
  readonly #credits: CreditReader
  readonly #told = new Map<string, Told>()
  readonly #closing = new AbortController()
  #unsubscribe: readonly (() => Promise<void>)[] = []

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
    this.#credits = new CreditReader(runtime.sql)
  }

  async open(): Promise<void> {
    const { signals } = this.#runtime
    this.#unsubscribe = await Promise.all([
      signals.subscribe('job_updates', ({ jobs }) => {
        if (this.#jobs.size > 0 && Array.isArray(jobs)) jobs.forEach((job) => this.#heardJob(job))
      }),
      signals.subscribe('balance_updates', ({ orgIds }) => {
        if (!Array.isArray(orgIds)) return
        for (const orgId of orgIds) this.#heardBalance(String(orgId))
      }),
    ])
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#unsubscribe.map((unsubscribe) => unsubscribe()))
  }

  watchJobs(orgId: string, listener: Listener<JobEventView>): () => void {
    return watch(this.#jobs, orgId, listener)
  }

  watchBalance(orgId: string, listener: Listener<Balance>): () => void {
    return watch(this.#balances, orgId, listener)
  }

  #heardJob(job: unknown): void {
    if (typeof job !== 'object' || job === null) return
    if (!('jobId' in job) || !('orgId' in job) || !('from' in job) || !('revision' in job)) return
    const listeners = this.#jobs.get(String(job.orgId))
    if (!listeners) return
    const jobId = String(job.jobId)
    const told = this.#told.get(jobId) ?? this.#beginAfter(jobId, Number(job.from) - 1)
    told.heard = Math.max(told.heard, Number(job.revision))
    void this.#tell(jobId, told, listeners)
  }

  /** Tells what was heard of; as often as it takes, for nobody will signal it again. */
  async #tell(jobId: string, told: Told, listeners: Set<Listener<JobEventView>>): Promise<void> {
    const { clock, log } = this.#runtime
    const { signal } = this.#closing
    while (!told.isBeingRead && told.heard > told.revision && !signal.aborted) {
      try {
        await this.#tellJob(jobId, told, listeners)
        return
      } catch (error) {
        log.error({ err: error, jobId }, 'org channel could not be told')
        await clock.sleep(retryMs, signal)
      }
    }
  }

  #beginAfter(jobId: string, revision: number): Told {
    if (this.#told.size >= rememberedMax) this.#told.clear()
    const state: JobState | null = revision < 0 ? { status: 'absent' } : null
    const told = { state, revision, heard: revision, isBeingRead: false }
    this.#told.set(jobId, told)
    return told
  }

  async #tellJob(jobId: string, told: Told, listeners: Set<Listener<JobEventView>>) {
    told.isBeingRead = true
    try {
      let hasMore = true
      while (hasMore) hasMore = await this.#readOn(jobId, told, listeners)
    } finally {
      told.isBeingRead = false
    }
  }

  /** Tells what came after the told part. Returns whether more has come meanwhile. */
  async #readOn(
    jobId: string,
    told: Told,
    listeners: Set<Listener<JobEventView>>,
  ): Promise<boolean> {
    const { store, config } = this.#runtime
    // Without its state a job is read from the beginning, and told from where it was told.
    const known = told.state ? told.revision : -1
    const events = await readAll(store, jobStream(jobId), known + 1)
    const moved = jobTransitions(told.state ?? { status: 'absent' }, jobEvents(events))
    const fresh = moved.transitions.filter(({ revision }) => revision > told.revision)
    const newest = fresh.at(-1)
    if (!newest) return false
    const credits = await this.#credits.of(jobId)
    told.state = isFinished(newest.job.status) ? null : moved.state
    told.revision = newest.revision
    for (const event of showTransitions(fresh, credits, config.publicUrl)) {
      for (const listener of listeners) listener(event)
    }
    return told.heard > told.revision
  }

  #heardBalance(orgId: string): void {
    const listeners = this.#balances.get(orgId)
    if (!listeners) return
    getBalance(this.#runtime.sql, orgId).then(
      (balance) => {
        if (balance) for (const listener of listeners) listener(balance)
      },
      (error: unknown) => {
        this.#runtime.log.error({ err: error, orgId }, 'balance channel could not be told')
      },
    )
  }
}

function watch<T>(
  channels: Map<string, Set<Listener<T>>>,
  id: string,
  listener: Listener<T>,
): () => void {
  const listeners = channels.get(id) ?? new Set()
  channels.set(id, listeners.add(listener))
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) channels.delete(id)
  }
}
