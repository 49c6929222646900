import type { Recorded } from '../../domain/catalog.ts'
import type { JobEvent, JobResult } from '../../domain/job/job-events.ts'
import { holdIdOf } from '../../domain/job/job.ts'
import { unreachable } from '../../domain/unreachable.ts'
import type { Found } from './violation.ts'

type State = 'absent' | 'queued' | 'running' | 'over' | 'abandoned'

/** One job stream, followed by rules that are simpler than the decider's. */
export class JobCheck {
  readonly #stream: string
  readonly #found: Found
  #state: State = 'absent'
  #epoch = 0
  #isCancelRequested = false
  readonly #steps = new Set<string>()
  orgId: string | null = null
  /** The numbers of its runs: a retry that died before it was written leaves its number out. */
  readonly runs: number[] = [0]
  result: JobResult | null = null

  constructor(stream: string, found: Found) {
    this.#stream = stream
    this.#found = found
  }

  /** The number of the newest run, by which its hold is named. */
  get run(): number {
    return this.runs.at(-1) ?? 0
  }

  get isLive(): boolean {
    return this.#state === 'queued' || this.#state === 'running'
  }

  see(event: Recorded<JobEvent>): void {
    this.#seeEpoch(event)
    switch (event.type) {
      case 'JobSubmitted':
        if (this.#state !== 'absent') this.#wrong('I2', event, 'a job is submitted once')
        this.orgId = event.data.orgId
        this.#state = 'queued'
        return
      case 'JobRequeued':
        if (this.#state !== 'over') this.#wrong('I1', event, 'only a job that is over is requeued')
        this.#requeue(event, event.data.requeue)
        return
      case 'JobStarted':
        this.#seeStart(event, event.data.epoch)
        return
      case 'JobRetryScheduled':
        if (this.#state !== 'running') this.#wrong('I11', event, 'no attempt was under way')
        if (this.#isCancelRequested) this.#wrong('I1', event, 'the job was to be canceled')
        this.#state = 'queued'
        return
      case 'JobStepCompleted':
        this.#seeStep(event, event.data.step)
        return
      case 'JobCancelRequested':
        if (this.#state !== 'running') this.#wrong('I1', event, 'no attempt was under way')
        this.#isCancelRequested = true
        return
      case 'SubmissionAbandoned':
        if (this.#state !== 'absent') this.#wrong('I1', event, 'the job was there')
        this.#state = 'abandoned'
        return
      case 'JobSucceeded':
      case 'JobFailed':
      case 'JobCanceled':
      case 'JobExpired':
        this.#seeEnd(event, event.data.holdId)
        return
      default:
        unreachable(event)
    }
  }

  #requeue(event: Recorded<JobEvent>, requeue: number): void {
    if (requeue <= this.run) this.#wrong('I2', event, `run ${requeue} after run ${this.run}`)
    this.runs.push(requeue)
    this.result = null
    this.#isCancelRequested = false
    this.#state = 'queued'
  }

  #seeStart(event: Recorded<JobEvent>, epoch: number): void {
    if (this.#state !== 'queued') this.#wrong('I11', event, 'the job was not in the queue')
    if (epoch <= this.#epoch) this.#wrong('I11', event, `epoch ${epoch} after ${this.#epoch}`)
    this.#state = 'running'
    this.#epoch = epoch
  }

  #seeStep(event: Recorded<JobEvent>, step: string): void {
    if (this.#state !== 'running') this.#wrong('I11', event, 'no attempt was under way')
    if (this.#steps.has(step)) this.#wrong('I11', event, `step ${step} was completed before`)
    this.#steps.add(step)
  }

  #seeEnd(event: Recorded<JobEvent>, holdId: string): void {
    if (!this.isLive) this.#wrong('I1', event, 'the job had ended already')
    const own = holdIdOf(this.#stream.slice('job-'.length), this.run)
    if (holdId !== own) this.#wrong('I5', event, `it names hold ${holdId}, the run has ${own}`)
    if (event.type === 'JobExpired' && this.#state === 'running') {
      this.#wrong('I1', event, 'an attempt was under way')
    }
    if (event.type === 'JobSucceeded') {
      if (this.#state !== 'running') this.#wrong('I11', event, 'no attempt was under way')
      this.result = event.data.result
    }
    this.#state = 'over'
  }

  #seeEpoch(event: Recorded<JobEvent>): void {
    const isOfAttempt =
      event.type === 'JobStepCompleted' ||
      event.type === 'JobRetryScheduled' ||
      event.type === 'JobSucceeded'
    if (!isOfAttempt || event.data.epoch === this.#epoch) return
    const { epoch } = event.data
    this.#wrong('I11', event, `it was written under epoch ${epoch}, the lease was ${this.#epoch}`)
  }

  #wrong(invariant: string, { type, revision }: Recorded<JobEvent>, why: string): void {
    this.#found(invariant, this.#stream, `${type} at revision ${revision}: ${why}`)
  }
}
