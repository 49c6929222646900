import { isAccountEvent, isJobEvent, isKnownEvent } from '../../domain/catalog.ts'
import type { Recorded } from '../../domain/catalog.ts'
import type { HoldSettled } from '../../domain/account/account-events.ts'
import { holdIdOf } from '../../domain/job/job.ts'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import { decodeEvent } from '../../infra/event-text.ts'
import type { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { AccountCheck } from '../../workers/invariants/account-check.ts'
import { JobCheck } from '../../workers/invariants/job-check.ts'
import type { Found } from '../../workers/invariants/violation.ts'

/** What a watch knows of a job beside what `JobCheck` follows. */
type Seen = {
  readonly check: JobCheck
  readonly steps: Set<string>
  runAt: string | null
  isCancelRequested: boolean
  endedAtMs: number
  succeeded: boolean
}

/** After the end of its job, or after the last fault. */
const settledMsMax = 10_000

/** Looks at every event in the moment in which it is written. Asks no decider. */
export class Watch {
  readonly #log: MemoryEventLog
  readonly #found: Found
  readonly #delivered: ReadonlySet<string>
  readonly #revisions = new Map<string, number>()
  readonly #eventIds = new Set<string>()
  readonly #keys = new Map<string, string>()
  readonly jobs = new Map<string, Seen>()
  readonly accounts = new Map<string, AccountCheck>()
  readonly usageOfJob = new Map<string, number>()
  /** Set when nothing fails any more: from then on nobody may need to be rescued. */
  healedAtMs = Infinity
  #seen = 0

  /** @param delivered idempotency keys of the calls that the provider has answered */
  constructor(log: MemoryEventLog, delivered: ReadonlySet<string>, found: Found) {
    this.#log = log
    this.#delivered = delivered
    this.#found = found
  }

  /** Events that were written since the last look. Returns what they were. */
  look(): readonly RecordedEvent[] {
    const fresh = this.#log.events.slice(this.#seen).map(decodeEvent)
    this.#seen += fresh.length
    for (const event of fresh) this.#see(event)
    return fresh
  }

  #see(event: RecordedEvent): void {
    const { stream, revision, id } = event
    const expected = (this.#revisions.get(stream) ?? -1) + 1
    this.#revisions.set(stream, revision)
    if (revision !== expected) this.#found('I6', stream, `revision ${revision}, not ${expected}`)
    if (this.#eventIds.has(id)) this.#found('I11', stream, `event ${id} was written twice`)
    this.#eventIds.add(id)
    if (!isKnownEvent(event)) this.#found('I6', stream, `${event.type} is no event`)
    if (isJobEvent(event)) this.#seeJob(event)
    else if (isAccountEvent(event)) this.#seeAccount(event)
  }

  #seeJob(event: Recorded<JobEvent>): void {
    const { stream } = event
    const jobId = stream.slice('job-'.length)
    const job = this.jobs.get(jobId) ?? newlySeen(new JobCheck(stream, this.#found))
    this.jobs.set(jobId, job)
    job.check.see(event)
    if (!job.check.isLive) job.endedAtMs = Date.parse(event.recordedAt)
    switch (event.type) {
      case 'JobSubmitted':
        return this.#seeKey(jobId, event.data.metadata['key'])
      case 'JobStarted':
        if (job.runAt !== null && event.data.startedAt < job.runAt) {
          this.#found('I1', stream, `revision ${event.revision}: started before ${job.runAt}`)
        }
        job.runAt = null
        return
      case 'JobStepCompleted':
        if (job.steps.has(event.data.step)) {
          this.#found('I11', stream, `step ${event.data.step} was completed twice`)
        }
        job.steps.add(event.data.step)
        return
      case 'JobCancelRequested':
        job.isCancelRequested = true
        return
      case 'JobRetryScheduled':
        if (job.isCancelRequested) this.#found('I1', stream, 'a canceled job is tried again')
        job.runAt = event.data.runAt
        return
      case 'JobRequeued':
        job.isCancelRequested = false
        job.runAt = null
        return
      case 'JobSucceeded':
        job.succeeded = true
        return
      case 'JobFailed':
      case 'JobCanceled':
      case 'JobExpired':
      case 'SubmissionAbandoned':
        return
    }
  }

  /** I2: one key makes one job. */
  #seeKey(jobId: string, key: unknown): void {
    if (typeof key !== 'string') return
    const other = this.#keys.get(key)
    if (other !== undefined) this.#found('I2', key, `made ${other} and ${jobId}`)
    this.#keys.set(key, jobId)
  }

  #seeAccount(event: RecordedEvent): void {
    if (!isAccountEvent(event)) return
    const { stream } = event
    const account = this.accounts.get(stream) ?? new AccountCheck(stream, this.#found)
    this.accounts.set(stream, account)
    account.see(event)
    if (event.type === 'UsageRecorded') {
      const { usageId, jobId } = event.data
      if (!this.#delivered.has(usageId)) {
        this.#found('I3', stream, `usage ${usageId} of a call that was never made`)
      }
      this.usageOfJob.set(jobId, (this.usageOfJob.get(jobId) ?? 0) + 1)
    }
    if (event.type === 'HoldSettled') this.#seeSettled(event)
  }

  /** I5 also means: when all is well settlement does it soon, not the rescuer much later. */
  #seeSettled({ data, meta, recordedAt }: Recorded<HoldSettled>): void {
    const { jobId, holdId } = data
    const job = this.jobs.get(jobId)
    if (!job || job.check.orgId === null) return
    if (holdId !== holdIdOf(jobId, job.check.run)) return
    if (job.check.isLive) this.#found('I5', jobId, 'a hold is settled, and its job is not over')
    const lateMs = Date.parse(recordedAt) - Math.max(job.endedAtMs, this.healedAtMs)
    if (lateMs > settledMsMax && meta.actor === 'system:rescuer') {
      this.#found('I5', jobId, 'settlement passed it over')
    }
  }
}

function newlySeen(check: JobCheck): Seen {
  const seen = { check, steps: new Set<string>(), runAt: null, isCancelRequested: false }
  return { ...seen, endedAtMs: 0, succeeded: false }
}
