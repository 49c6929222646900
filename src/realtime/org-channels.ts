import { Inject, Injectable } from '@nestjs/common'
import type { JobEventView } from '../../domain/job/job-view.ts'
import { getBalance, jobCredits } from '../queries/get-credits.ts'
import type { Balance } from '../queries/get-credits.ts'
import { jobHistory, showTransitions } from '../queries/get-job.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Jobs whose last told revision is remembered, so that an org hears a transition once. */
const rememberedMax = 20_000

type Listener<T> = (value: T) => void

/** Live only: every transition of an org's jobs, and its balance when it moves. */
@Injectable()
export class OrgChannels {
  readonly #runtime: Runtime
  readonly #jobs = new Map<string, Set<Listener<JobEventView>>>()
  readonly #balances = new Map<string, Set<Listener<Balance>>>()
  readonly #told = new Map<string, number>()
  #unsubscribe: readonly (() => Promise<void>)[] = []

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
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
    const { transitions } = await jobHistory(this.#runtime, jobId)
    const last = this.#told.get(jobId) ?? from - 1
    const news = transitions.filter(({ revision }) => revision > last)
    const newest = news.at(-1)
    if (!newest) return
    const credits = (await jobCredits(this.#runtime.sql, [jobId])).get(jobId)
    // Another signal may have told the same in the meantime.
    const told = this.#told.get(jobId) ?? from - 1
    if (this.#told.size >= rememberedMax) this.#told.clear()
    this.#told.set(jobId, Math.max(told, newest.revision))
    const fresh = news.filter(({ revision }) => revision > told)
    for (const event of showTransitions(fresh, credits, this.#runtime.config.publicUrl)) {
      for (const listener of listeners) listener(event)
    }
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
