import { Inject, Injectable } from '@nestjs/common'
import { isFinished, jobStream } from '../../domain/job/job.ts'
import type { JobState } from '../../domain/job/job.ts'
import { jobTransitions } from '../../domain/job/job-view.ts'
import type { JobEventView, JobTransition } from '../../domain/job/job-view.ts'
import { readTo } from '../../domain/ports/event-store.ts'
import { CreditReader } from '../queries/get-credits.ts'
import { jobEvents, showTransitions } from '../queries/get-job.ts'
import { revisionsOf, revisionsSince } from '../queries/job-revisions.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Jobs of which is remembered what was told, so that an org hears a transition once. */
const rememberedMax = 20_000

/** Pause before what could not be read is read again, ms. */
const retryMs = 1_000

/** Signals may be lost; then this is how late an org hears, ms. */
const recheckMs = 5_000

/** Jobs are new for this long, ms: beyond it they have been looked at once at least. */
const newForMs = 10_000

/** Signals that are younger may be on the way, ms. */
const signalMs = 1_000

/** How far a job was told. */
type Told = {
  readonly orgId: string
  /** Nothing was read yet: an earlier signal may have been lost. */
  isNew: boolean
  /** The state there; unknown of a job that has ended. */
  state: JobState | null
  revision: number
  /** The last revision that was heard of. */
  heard: number
  isBeingRead: boolean
}

type Listener = (event: JobEventView) => void

type Channel = {
  readonly listeners: Set<Listener>
  /** Since when somebody listens, ms since 1970. */
  readonly sinceMs: number
}

/** Live only: every transition of an org's jobs. */
@Injectable()
export class OrgChannels {
  readonly #runtime: Runtime
  readonly #channels = new Map<string, Channel>()
  readonly #credits: CreditReader
  /** The jobs that were heard of first come first. */
  readonly #told = new Map<string, Told>()
  readonly #closing = new AbortController()
  #unsubscribe: () => Promise<void> = () => Promise.resolve()

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
    this.#credits = new CreditReader(runtime.sql)
  }

  async open(): Promise<void> {
    this.#unsubscribe = await this.#runtime.signals.subscribe('job_updates', ({ jobs }) => {
      if (Array.isArray(jobs)) for (const job of jobs) this.#heard(job)
    })
    void this.#recheckAll()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#unsubscribe()
  }

  /** Tells the listener every transition from now on. Returns how to stop. */
  watch(orgId: string, listener: Listener): () => void {
    const fresh = { listeners: new Set<Listener>(), sinceMs: this.#runtime.clock.now() }
    const channel = this.#channels.get(orgId) ?? fresh
    this.#channels.set(orgId, channel)
    channel.listeners.add(listener)
    return () => {
      channel.listeners.delete(listener)
      if (channel.listeners.size > 0 || this.#channels.get(orgId) !== channel) return
      this.#channels.delete(orgId)
      // Whoever comes next hears what comes next.
      for (const [jobId, told] of this.#told) if (told.orgId === orgId) this.#told.delete(jobId)
    }
  }

  #heard(job: unknown): void {
    if (typeof job !== 'object' || job === null) return
    if (!('jobId' in job) || !('orgId' in job) || !('from' in job) || !('revision' in job)) return
    const orgId = String(job.orgId)
    if (!this.#channels.has(orgId)) return
    this.#reached(String(job.jobId), orgId, Number(job.from), Number(job.revision))
  }

  /** A job stands at a revision; what is told of one that is new here begins at `from`. */
  #reached(jobId: string, orgId: string, from: number, revision: number): void {
    const told = this.#told.get(jobId) ?? this.#beginAfter(jobId, orgId, from - 1)
    told.heard = Math.max(told.heard, revision)
    void this.#tell(jobId, told)
  }

  /** Tells what was heard of; as often as it takes, for nobody may signal it again. */
  async #tell(jobId: string, told: Told): Promise<void> {
    const { clock, log } = this.#runtime
    const { signal } = this.#closing
    while (!told.isBeingRead && told.heard > told.revision && !signal.aborted) {
      try {
        await this.#tellJob(jobId, told)
        return
      } catch (error) {
        log.error({ err: error, jobId }, 'org channel could not be told')
        await clock.sleep(retryMs, signal)
      }
    }
  }

  #beginAfter(jobId: string, orgId: string, revision: number): Told {
    const oldest = this.#told.keys().next()
    if (this.#told.size >= rememberedMax && !oldest.done) this.#told.delete(oldest.value)
    const state: JobState | null = revision < 0 ? { status: 'absent' } : null
    const told = { orgId, isNew: true, state, revision, heard: revision, isBeingRead: false }
    this.#told.set(jobId, told)
    return told
  }

  async #tellJob(jobId: string, told: Told): Promise<void> {
    told.isBeingRead = true
    try {
      let hasMore = true
      while (hasMore) hasMore = await this.#readOn(jobId, told)
    } finally {
      told.isBeingRead = false
    }
  }

  /** Tells what came after the told part. Returns whether more has come meanwhile. */
  async #readOn(jobId: string, told: Told): Promise<boolean> {
    const { store, config } = this.#runtime
    // Without its state a job is read from the beginning, and told from where it was told.
    const known = told.state ? told.revision : -1
    const events = await readTo(store, jobStream(jobId), known + 1, told.heard)
    const moved = jobTransitions(told.state ?? { status: 'absent' }, jobEvents(events))
    if (told.isNew) {
      told.revision = Math.min(told.revision, this.#lastBeforeLive(told.orgId, moved.transitions))
      told.isNew = false
    }
    const fresh = moved.transitions.filter(({ revision }) => revision > told.revision)
    const newest = fresh.at(-1)
    if (!newest) return false
    const credits = await this.#credits.of(jobId)
    told.state = isFinished(newest.job.status) ? null : moved.state
    told.revision = newest.revision
    const listeners = this.#channels.get(told.orgId)?.listeners ?? []
    for (const event of showTransitions(fresh, credits, config.publicUrl)) {
      for (const listener of listeners) listener(event)
    }
    return told.heard > told.revision
  }

  /** The last revision from before somebody listened, or from so long ago that it was told. */
  #lastBeforeLive(orgId: string, transitions: readonly JobTransition[]): number {
    const nowMs = this.#runtime.clock.now()
    const fromMs = Math.max(this.#channels.get(orgId)?.sinceMs ?? nowMs, nowMs - newForMs)
    return transitions.findLast(({ at }) => Date.parse(at) < fromMs)?.revision ?? -1
  }

  /** Looks at the read model, again and again, for what no signal has told. */
  async #recheckAll(): Promise<void> {
    const { clock, log } = this.#runtime
    const { signal } = this.#closing
    while (!signal.aborted) {
      await clock.sleep(recheckMs, signal)
      await this.#recheck().catch((error: unknown) => {
        log.error({ err: error }, 'org channels could not be rechecked')
      })
    }
  }

  /** Of jobs that are new or unfinished, of the orgs that somebody watches. */
  async #recheck(): Promise<void> {
    const { sql, clock } = this.#runtime
    const nowMs = clock.now()
    const orgs = [...this.#channels].map(([orgId, { sinceMs }]) => {
      return { orgId, fromMs: Math.max(sinceMs, nowMs - newForMs) }
    })
    const unfinished = [...this.#told].filter(([, { state }]) => state !== null)
    const [fresh, moved] = await Promise.all([
      revisionsSince(sql, orgs, nowMs - signalMs),
      revisionsOf(
        sql,
        unfinished.map(([jobId]) => jobId),
      ),
    ])
    for (const { jobId, orgId, revision } of fresh) this.#reached(jobId, orgId, 0, revision)
    for (const { jobId, revision } of moved) {
      const told = this.#told.get(jobId)
      if (told) this.#reached(jobId, told.orgId, 0, revision)
    }
  }
}
