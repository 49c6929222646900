import type { Pipelines } from '../domain/aggregates.ts'
import { DomainError } from '../domain/errors.ts'
import { jobStream } from '../domain/job/job.ts'
import type { Job, JobCommand } from '../domain/job/job.ts'
import type { JobError as StoredError } from '../domain/job/job-events.ts'
import type { Json } from '../domain/json.ts'
import type { Loaded } from '../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../domain/ports/clock.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { Ids } from '../domain/ports/ids.ts'
import type { Lease } from '../domain/ports/lease-store.ts'
import { EngineRefusal } from '../domain/ports/engine-refusal.ts'
import { ObjectStoreUnavailable } from '../domain/ports/object-store.ts'
import type { ObjectStore } from '../domain/ports/object-store.ts'
import type { CallContext, CallOutcome, HandlerContext, JobOutcome } from './handlers/handler.ts'
import type { ProviderCall, StepContext } from './handlers/handler.ts'
import type { JobType } from './handlers/job-type.ts'
import { JobError } from './job-error.ts'
import { jobInput } from './job-input.ts'
import { openInput } from './open-input.ts'
import type { Download } from './open-input.ts'
import type { ProgressTeller } from './progress.ts'
import { Postponed } from './provider-turns.ts'
import type { ProviderTurns } from './provider-turns.ts'
import type { UsageMeter } from './usage-meter.ts'

/** Why an attempt was told to stop. */
export type StopReason = 'cancel' | 'deadline' | 'lease_lost' | 'shutdown'

/** Thrown into the handler by its signal; it lets it pass. */
export class AttemptStopped extends Error {
  override readonly name = 'AttemptStopped'
  readonly reason: StopReason

  constructor(reason: StopReason) {
    super(`the attempt was stopped: ${reason}`)
    this.reason = reason
  }
}

export type AttemptPorts = {
  readonly pipelines: Pipelines
  readonly objects: ObjectStore
  readonly clock: Clock
  readonly ids: Ids
  readonly meter: UsageMeter
  readonly download: Download
  readonly progress: ProgressTeller
  readonly turns: ProviderTurns
  readonly observer: AttemptObserver
}

/** Sees provider calls and refused writes; for metrics and logs. */
export type AttemptObserver = {
  readonly called: (call: ProviderCall, outcome: 'ok' | 'error', ms: number) => void
  /** A write was refused: somebody else has the job by now. */
  readonly fenced?: () => void
  /** The attempt ended with an error of our inside, which customers do not read. */
  readonly met?: (error: unknown, lease: Lease) => void
}

/** Base of the back-off between attempts, ms; doubled with each failure. */
const retryDelayMs = 1_000
const retryDelayMsMax = 300_000
/** Largest result, and largest input that was kept beside the log. */
const objectBytesMax = 1_000_000_000

/** One attempt of one job, from the running state to the event that ends it. */
export class JobAttempt {
  readonly #ports: AttemptPorts
  readonly #lease: Lease
  readonly #type: JobType
  readonly #stopping = new AbortController()
  #job: Job
  #revision: number
  readonly #calls = new Map<string, number>()
  #progress: number

  constructor(ports: AttemptPorts, lease: Lease, type: JobType, started: Loaded<Job>) {
    this.#ports = ports
    this.#lease = lease
    this.#type = type
    this.#job = started.state
    this.#revision = started.revision
    this.#progress = started.state.progress
  }

  /** Tells the handler to stop; the first reason counts. */
  stop(reason: StopReason): void {
    if (!this.#stopping.signal.aborted) this.#stopping.abort(new AttemptStopped(reason))
  }

  /**
   * Runs the handler and ends the attempt in the log. Resolves with the job as it then is.
   *
   * @throws AttemptStopped when the lease was lost
   */
  async run(): Promise<Loaded<Job>> {
    try {
      await this.#succeed(await this.#untilStopped())
    } catch (error) {
      await this.#end(error).catch((endError: unknown) => {
        if (isFenced(endError)) this.#ports.observer.fenced?.()
        throw isFenced(endError) ? new AttemptStopped('lease_lost') : endError
      })
    }
    return { state: this.#job, revision: this.#revision }
  }

  async #untilStopped(): Promise<JobOutcome> {
    const { signal } = this.#stopping
    const stopWatching = this.#watchDeadline()
    try {
      const input = await jobInput(this.#ports.objects, this.#job.spec)
      signal.throwIfAborted()
      return await this.#type.run(this.#context(input))
    } finally {
      stopWatching()
    }
  }

  #watchDeadline(): () => void {
    const { deadlineAt } = this.#job
    if (deadlineAt === null) return () => undefined
    const { clock } = this.#ports
    const ended = new AbortController()
    void clock.sleep(Date.parse(deadlineAt) - clock.now(), ended.signal).then(() => {
      if (!ended.signal.aborted) this.stop('deadline')
    })
    return () => ended.abort()
  }

  #context(input: unknown): HandlerContext<unknown> {
    const { jobId, orgId } = this.#job.spec
    const { objects, clock } = this.#ports
    const { signal } = this.#stopping
    const { attempt } = this.#job
    return {
      ...{ jobId, orgId, attempt, input, signal },
      progress: (percent, message) => {
        this.#tellProgress(percent, message ?? null)
      },
      step: (name, run) => this.#step(name, run),
      call: (call, run) => this.#call('', call, run),
      store: (name, body, contentType) => {
        signal.throwIfAborted()
        const key = `results/${jobId}/${this.#lease.epoch}/${name}`
        return objects.put(key, body, { contentType, bytesMax: objectBytesMax })
      },
      sleep: async (ms) => {
        await clock.sleep(ms, signal)
        signal.throwIfAborted()
      },
      open: (ref) => openInput(this.#ports, orgId, ref, signal),
    }
  }

  #tellProgress(percent: number, message: string | null): void {
    this.#progress = Math.max(this.#progress, Math.min(99, Math.max(0, Math.floor(percent))))
    const { jobId, orgId } = this.#job.spec
    this.#ports.progress.tell({ jobId, orgId, progress: this.#progress, message })
  }

  async #step<T extends Json>(name: string, run: (step: StepContext) => Promise<T>): Promise<T> {
    this.#stopping.signal.throwIfAborted()
    const done = this.#job.steps.get(name)
    // The step was stored by this very handler, so it has the type that the handler expects.
    // eslint-disable-next-line @typescript-eslint/consistent-type-assertions
    if (done) return done.output as T
    // Calls are numbered within their step, so that a repeated step repeats their ids.
    this.#calls.set(name, 0)
    const output = await run({ call: (call, work) => this.#call(name, call, work) })
    const { epoch } = this.#lease
    const progress = this.#progress
    await this.#handle({ type: 'CompleteStep', epoch, step: name, output, progress })
    return output
  }

  async #call<T>(
    step: string,
    call: ProviderCall,
    run: (context: CallContext) => Promise<CallOutcome<T>>,
  ): Promise<T> {
    const { clock, ids, meter, observer, turns } = this.#ports
    const { signal } = this.#stopping
    signal.throwIfAborted()
    await turns.wait(this.#job.spec.orgId, call.provider, signal)
    const number = (this.#calls.get(step) ?? 0) + 1
    this.#calls.set(step, number)
    const usageId = ids.derive('usage', this.#job.spec.jobId, step, String(number))
    const startedAt = clock.now()
    try {
      const { value, units, model } = await run({ idempotencyKey: usageId, signal })
      const ms = clock.now() - startedAt
      const metered = { ...call, model: model ?? call.model, usageId, units, startedAt, ms }
      await meter.record(this.#job, metered)
      observer.called(call, 'ok', ms)
      return value
    } catch (error) {
      observer.called(call, 'error', clock.now() - startedAt)
      throw error
    }
  }

  async #succeed({ object, outputs }: JobOutcome): Promise<void> {
    const { key, contentType, bytes, sha256 } = object
    const result = { key, contentType, bytes, sha256, outputs: outputs ?? null }
    return this.#handle({ type: 'SucceedJob', epoch: this.#lease.epoch, result, at: this.#now() })
  }

  async #end(error: unknown): Promise<void> {
    const reason = this.#stopping.signal.aborted ? stopReason(this.#stopping.signal) : null
    const { epoch } = this.#lease
    const at = this.#now()
    if (isFenced(error)) this.#ports.observer.fenced?.()
    if (isFenced(error) || reason === 'lease_lost') throw new AttemptStopped('lease_lost')
    if (reason === 'cancel') return this.#handle({ type: 'ConfirmCancel', epoch, at })
    if (reason === 'deadline') return this.#enforceDeadline()
    const end = { type: 'EndAttempt' as const, epoch, at }
    if (reason === 'shutdown') {
      return this.#handle({ ...end, reason: 'shutdown', error: null, runAt: at })
    }
    const isTold = error instanceof JobError || error instanceof Postponed
    if (!isTold) this.#ports.observer.met?.(error, this.#lease)
    const resumeAt = this.#resumeAt(error)
    if (resumeAt !== null) {
      const runAt = isoTime(resumeAt)
      return this.#handle({ ...end, reason: 'postponed', error: null, runAt })
    }
    const runAt = isoTime(this.#ports.clock.now() + this.#retryDelay(this.#job.failures))
    return this.#handle({ ...end, reason: 'error', error: storedError(error), runAt })
  }

  /** Timers may be a little early; the deadline is over all the same. */
  #enforceDeadline(): Promise<void> {
    const overdue = [this.#now(), this.#job.deadlineAt ?? ''].sort()
    return this.#handle({ type: 'EnforceDeadline', at: overdue.at(-1) ?? this.#now() })
  }

  /** When the job can go on, ms since the epoch, if it is only held up; null when it has failed. */
  #resumeAt(error: unknown): number | null {
    if (error instanceof Postponed) return error.until
    // Its result waits for the store as long as that is away, or does not let us in because keys
    // were changed or clocks are wrong: none of it is the job's fault, nor costs it an attempt.
    const isHeldUp = error instanceof ObjectStoreUnavailable || error instanceof EngineRefusal
    if (!isHeldUp) return null
    return this.#ports.clock.now() + this.#retryDelay(this.#job.attempt - 1)
  }

  /** 1 s × 2ⁿ with jitter: between half of it and the whole. */
  #retryDelay(repetitions: number): number {
    const delay = Math.min(retryDelayMs * 2 ** repetitions, retryDelayMsMax)
    return delay * (0.5 + this.#ports.ids.random01() / 2)
  }

  async #handle(command: JobCommand): Promise<void> {
    const { pipelines, ids } = this.#ports
    const { jobId, orgId } = this.#job.spec
    // Nobody repeats a command of an attempt but its own pipeline: the id needs no cause.
    const commandId = ids.next()
    const { traceparent } = this.#job.spec
    const context = { commandId, orgId, actor: 'worker', correlationId: jobId, traceparent }
    const { state, revision } = await pipelines.jobs.handle(jobStream(jobId), command, context)
    if (state.status === 'absent' || state.status === 'abandoned') throw new Error('job vanished')
    this.#job = state
    this.#revision = revision
  }

  #now(): string {
    return isoTime(this.#ports.clock.now())
  }
}

function stopReason(signal: AbortSignal): StopReason {
  return signal.reason instanceof AttemptStopped ? signal.reason.reason : 'shutdown'
}

function isFenced(error: unknown): boolean {
  return error instanceof DomainError && error.extra['fenced'] === true
}

/** What customers are told of a failure: a handler's own words, or nothing of our inside. */
function storedError(error: unknown): StoredError {
  if (error instanceof JobError) {
    const { code, message, retryable } = error
    return { code, message, retryable }
  }
  return { code: 'internal', message: 'The job met an unexpected error.', retryable: true }
}
