import { Inject, Injectable } from '@nestjs/common'
import { isFinished, jobStream } from '../../domain/job/job.ts'
import type { JobState } from '../../domain/job/job.ts'
import { jobTransitions } from '../../domain/job/job-view.ts'
import type { JobEventView, JobTransition } from '../../domain/job/job-view.ts'
import { readAll } from '../../domain/ports/event-store.ts'
import { CreditReader, getBalance } from '../queries/get-credits.ts'
import type { Balance } from '../queries/get-credits.ts'
import { jobEvents, showTransitions } from '../queries/get-job.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Jobs of which is remembered what was told, so that an org hears a transition once. */
const rememberedMax = 20_000

/** Where the told part of a job ends; of a job that has ended, only the revision is kept. */
type Told = { readonly state: JobState | null; readonly revision: number }

const nothing: Told = { state: { status: 'absent' }, revision: -1 }

type Listener<T> = (value: T) => void

/** Live only: every transition of an org's jobs, and its balance when it moves. */
@Injectable()
export class OrgChannels {
  readonly #runtime: Runtime
  readonly #jobs = new Map<string, Set<Listener<JobEventView>>>()
  readonly #balances = new Map<string, Set<Listener<Balance>>>()
  readonly #credits: CreditReader
  readonly #told = new Map<string, Told>()
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
    if (!('jobId' in job) || !('orgId' in job) || !('from' in job)) return
    const listeners = this.#jobs.get(String(job.orgId))
    if (!listeners) return
    this.#tellJob(String(job.jobId), Number(job.from), listeners).catch((error: unknown) => {
      this.#runtime.log.error({ err: error }, 'org channel could not be told')
    })
  }

  async #tellJob(jobId: string, from: number, listeners: Set<Listener<JobEventView>>) {
    const told = this.#told.get(jobId)
    const { state, transitions } = await this.#read(jobId, told)
    const newest = transitions.at(-1)
    if (!newest) return
    const credits = await this.#credits.of(jobId)
    // Another signal may have told the same in the meantime.
    const last = this.#told.get(jobId)?.revision ?? from - 1
    const fresh = transitions.filter(({ revision }) => revision > last)
    if (fresh.length === 0) return
    if (this.#told.size >= rememberedMax) this.#told.clear()
    const isOver = isFinished(newest.job.status)
    this.#told.set(jobId, { state: isOver ? null : state, revision: newest.revision })
    for (const event of showTransitions(fresh, credits, this.#runtime.config.publicUrl)) {
      for (const listener of listeners) listener(event)
    }
  }

  /** What came after the told part; all there is when the state there is no longer known. */
  async #read(jobId: string, told: Told | undefined) {
    const { state, revision } = told?.state ? told : nothing
    const events = await readAll(this.#runtime.store, jobStream(jobId), revision + 1)
    const moved: { state: JobState; transitions: readonly JobTransition[] } = jobTransitions(
      state ?? { status: 'absent' },
      jobEvents(events),
    )
    return moved
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
