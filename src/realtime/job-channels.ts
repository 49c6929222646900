import { Inject, Injectable } from '@nestjs/common'
import { isFinished, jobStream } from '../../domain/job/job.ts'
import type { JobState } from '../../domain/job/job.ts'
import { jobTransitions } from '../../domain/job/job-view.ts'
import type { JobEventView, JobTransition } from '../../domain/job/job-view.ts'
import { NO_STREAM, readTo } from '../../domain/ports/event-store.ts'
import { CreditReader } from '../queries/get-credits.ts'
import { jobEvents, showTransitions } from '../queries/get-job.ts'
import { revisionsOf } from '../queries/job-revisions.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Signals may be lost; then this is how late a subscriber hears, ms. */
const recheckMs = 5_000

/** Progress as it is passed on; it has no revision. */
export type ProgressView = {
  readonly progress: number
  readonly message?: string
}

/** What a subscription is told. Every revision once, in order, without a hole. */
export type JobListener = {
  readonly update: (event: JobEventView) => void
  readonly progress: (progress: ProgressView) => void
}

type Subscription = { readonly listener: JobListener; last: number }

type Channel = {
  readonly subscriptions: Set<Subscription>
  state: JobState
  revision: number
  /** The revision that the next read has to reach; infinite to read what there is. */
  wanted: number
  /** The read that is under way, and whether another must follow it. */
  advancing: Promise<void> | null
  again: boolean
}

/**
 * The live transitions of jobs that somebody watches. A signal only says that there is something
 * to read: what is told comes from the stream, from the last revision on.
 */
@Injectable()
export class JobChannels {
  readonly #runtime: Runtime
  readonly #credits: CreditReader
  readonly #channels = new Map<string, Channel>()
  readonly #closing = new AbortController()
  readonly #leaving = new Set<() => void>()
  #unsubscribe: readonly (() => Promise<void>)[] = []

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
    this.#credits = new CreditReader(runtime.sql)
  }

  async open(): Promise<void> {
    const { signals } = this.#runtime
    this.#unsubscribe = await Promise.all([
      signals.subscribe('job_updates', ({ jobs }) => {
        if (!Array.isArray(jobs)) return
        for (const job of jobs) this.#heard(job)
      }),
      signals.subscribe('job_progress', (payload) => this.#progress(payload)),
    ])
    void this.#recheck()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const leave of this.#leaving) leave()
    await Promise.all(this.#unsubscribe.map((unsubscribe) => unsubscribe()))
  }

  /** How many jobs are watched. */
  get size(): number {
    return this.#channels.size
  }

  /**
   * Tells the listener everything beyond `after` from now on, the past first. Returns how to stop.
   *
   * @param after the last revision that the listener knows
   */
  watch(jobId: string, after: number, listener: JobListener): () => void {
    const channel = this.#channels.get(jobId) ?? newChannel()
    this.#channels.set(jobId, channel)
    const subscription = { listener, last: after }
    channel.subscriptions.add(subscription)
    // The channel may stand beyond `after` already: start again from the beginning.
    if (channel.revision > after) {
      channel.state = { status: 'absent' }
      channel.revision = -1
    }
    channel.wanted = Infinity
    this.#advance(jobId, channel)
    return () => {
      channel.subscriptions.delete(subscription)
      if (channel.subscriptions.size > 0 || this.#channels.get(jobId) !== channel) return
      this.#channels.delete(jobId)
    }
  }

  /** Calls back, once, when the process stops; at once when it does so already. */
  onClose(run: () => void): () => void {
    if (this.#closing.signal.aborted) run()
    else this.#leaving.add(run)
    return () => this.#leaving.delete(run)
  }

  /** Resolves when the job is finished, after `limitMs`, when who waits leaves, or the process. */
  async untilFinished(jobId: string, limitMs: number, gone?: AbortSignal): Promise<void> {
    if (gone?.aborted) return
    const ended = new AbortController()
    gone?.addEventListener('abort', () => ended.abort(), { signal: ended.signal })
    const unwatch = this.watch(jobId, -1, {
      update: ({ job }) => {
        if (isFinished(job.status)) ended.abort()
      },
      progress: () => undefined,
    })
    const unfollow = this.onClose(() => ended.abort())
    await this.#runtime.clock.sleep(limitMs, ended.signal)
    ended.abort()
    unfollow()
    unwatch()
  }

  #heard(job: unknown): void {
    if (typeof job !== 'object' || job === null || !('jobId' in job)) return
    const jobId = String(job.jobId)
    const channel = this.#channels.get(jobId)
    const revision = 'revision' in job ? Number(job.revision) : Infinity
    if (!channel || revision <= channel.revision) return
    channel.wanted = Math.max(channel.wanted, revision)
    this.#advance(jobId, channel)
  }

  #progress(payload: Readonly<Record<string, unknown>>): void {
    const channel = this.#channels.get(String(payload['jobId']))
    if (!channel) return
    const { message } = payload
    const progress = Number(payload['progress'])
    const view = typeof message === 'string' ? { progress, message } : { progress }
    for (const { listener } of channel.subscriptions) listener.progress(view)
  }

  async #recheck(): Promise<void> {
    const { clock, sql, log } = this.#runtime
    while (!this.#closing.signal.aborted) {
      await clock.sleep(recheckMs, this.#closing.signal)
      try {
        for (const job of await revisionsOf(sql, [...this.#channels.keys()])) this.#heard(job)
      } catch (error) {
        log.error({ err: error }, 'job channels could not be rechecked')
      }
    }
  }

  /** Reads what the stream has gained; reads once more when asked again in the meantime. */
  #advance(jobId: string, channel: Channel): void {
    if (channel.advancing) {
      channel.again = true
      return
    }
    channel.advancing = this.#read(jobId, channel)
      .catch((error: unknown) => {
        channel.wanted = Infinity
        this.#runtime.log.error({ err: error, jobId }, 'job channel could not be read')
      })
      .finally(() => {
        channel.advancing = null
        if (!channel.again) return
        channel.again = false
        this.#advance(jobId, channel)
      })
  }

  async #read(jobId: string, channel: Channel): Promise<void> {
    const { store, config } = this.#runtime
    const { state, revision, wanted } = channel
    channel.wanted = NO_STREAM
    const events = await readTo(store, jobStream(jobId), revision + 1, wanted)
    if (events.length === 0) return
    const credits = await this.#credits.of(jobId)
    // A new subscription may have sent the channel back to its beginning: read again then.
    if (channel.revision !== revision) {
      channel.again = true
      return
    }
    const moved = jobTransitions(state, jobEvents(events))
    channel.state = moved.state
    channel.revision = events.at(-1)?.revision ?? revision
    const show = (transitions: readonly JobTransition[]) =>
      showTransitions(transitions, credits, config.publicUrl)
    for (const subscription of channel.subscriptions) tell(subscription, moved.transitions, show)
  }
}

function tell(
  subscription: Subscription,
  transitions: readonly JobTransition[],
  show: (transitions: readonly JobTransition[]) => readonly JobEventView[],
): void {
  const beyond = transitions.filter(({ revision }) => revision > subscription.last)
  for (const event of show(beyond)) {
    subscription.last = event.revision
    subscription.listener.update(event)
  }
}

function newChannel(): Channel {
  const state: JobState = { status: 'absent' }
  const read = { wanted: Infinity, advancing: null, again: false }
  return { subscriptions: new Set(), state, revision: -1, ...read }
}
