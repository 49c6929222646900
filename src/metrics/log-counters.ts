import type { Recorded, WeirEvent } from '../../domain/catalog.ts'
import { priceUnits } from '../../domain/pricing/price-book.ts'
import { closedSet } from './registry.ts'
import type { Series } from './registry.ts'

/** What an end or an attempt does not say of its job itself. */
export type JobFacts = {
  readonly jobType: string
  readonly queuedAt: string
  /** Since when it could run; null while it runs, or when that is not known any more. */
  readonly readyAt: string | null
}

export type LogCountersOptions = {
  readonly jobTypes: readonly string[]
  /** Negative when the first position lies before the second. */
  readonly compare: (a: string, b: string) => number
  /** Jobs that began before this process did. */
  readonly findJobs: (jobIds: readonly string[]) => Promise<ReadonlyMap<string, JobFacts>>
}

/** Codes of customers' own choice and of new job types are `other`. */
const errorCodes = [
  ...['none', 'deadline_exceeded', 'lease_expired', 'internal', 'invalid_input'],
  ...['input_unreachable', 'image_too_large', 'invalid_image', 'upscale_failed'],
  ...['upscale_timeout', 'sandbox_failure', 'other'],
]
const reasons = [
  ...['succeeded', 'failed', 'canceled'],
  ...['error', 'lease_expired', 'shutdown', 'postponed'],
]
/** Live jobs whose facts are kept in memory; older ones are looked up. */
const knownMax = 50_000
const namesMax = 200
/** Events of a share that wait until their jobs can be looked up. */
const leftMax = 50_000

/**
 * Counters that agree with the log: every event is counted once, by the process that carried it
 * into the read models, whoever wrote it.
 */
export class LogCounters {
  readonly #options: LogCountersOptions
  readonly #count: ReturnType<typeof openCounters>
  readonly #jobs = new Map<string, JobFacts>()
  /** By shares of the log: what lies before was counted. */
  readonly #counted = new Map<string, string>()
  /** By shares: events whose jobs could not be looked up. They are counted with the next page. */
  readonly #left = new Map<string, readonly Recorded[]>()
  #last: Promise<void> = Promise.resolve()

  constructor(series: Series, options: LogCountersOptions) {
    this.#options = options
    this.#count = openCounters(series, options.jobTypes)
  }

  /** Events of that share up to there were counted by another process. */
  begin(share: string, from: string): void {
    this.#counted.set(share, from)
  }

  /**
   * Counts a committed page, after those before it; a page that was counted before changes nothing.
   * What cannot be counted now is counted with the next one.
   */
  count(share: string, page: readonly Recorded[]): Promise<void> {
    const counted = this.#last.then(() => this.#countPage(share, page))
    this.#last = counted.catch(() => undefined)
    return counted
  }

  async #countPage(share: string, page: readonly Recorded[]): Promise<void> {
    const { compare, findJobs } = this.#options
    const counted = this.#counted.get(share)
    const isNew = ({ position }: Recorded): boolean =>
      counted === undefined || compare(position, counted) > 0
    const events = [...(this.#left.get(share) ?? []), ...page.filter(isNew)].slice(-leftMax)
    const last = events.at(-1)
    if (!last) return
    this.#counted.set(share, last.position)
    this.#left.set(share, events)
    const unknown = this.#unknownJobs(events)
    if (unknown.length > 0) {
      for (const [jobId, facts] of await findJobs(unknown)) this.#remember(jobId, facts)
    }
    this.#left.delete(share)
    for (const event of events) this.#countEvent(event)
    this.#count.counted(events.length)
  }

  #unknownJobs(events: readonly Recorded[]): readonly string[] {
    const made = new Set<string>()
    const unknown = new Set<string>()
    for (const event of events) {
      if (!event.stream.startsWith('job-')) continue
      const jobId = jobIdOf(event)
      if (event.type === 'JobSubmitted' || event.type === 'JobRequeued') made.add(jobId)
      else if (!made.has(jobId) && !this.#jobs.has(jobId)) unknown.add(jobId)
    }
    return [...unknown]
  }

  #remember(jobId: string, facts: JobFacts): void {
    this.#jobs.set(jobId, facts)
    if (this.#jobs.size <= knownMax) return
    const oldest = this.#jobs.keys().next()
    if (!oldest.done) this.#jobs.delete(oldest.value)
  }

  #countEvent(event: Recorded): void {
    if (event.type === 'UsageRecorded') this.#count.units(event.data)
    else if (event.type === 'JobSubmitted') {
      const { jobId, jobType, submittedAt, runAt } = event.data
      this.#remember(jobId, { jobType, queuedAt: submittedAt, readyAt: runAt ?? submittedAt })
    } else if (event.type === 'JobRequeued') {
      const { job, requeuedAt } = event.data
      const { jobId, jobType } = job
      this.#remember(jobId, { jobType, queuedAt: requeuedAt, readyAt: requeuedAt })
    } else if (event.stream.startsWith('job-')) {
      const facts = this.#jobs.get(jobIdOf(event))
      if (facts) this.#countJobEvent(event, facts)
    }
  }

  #countJobEvent(event: Recorded, facts: JobFacts): void {
    const { jobType, readyAt } = facts
    if (event.type === 'JobStarted') {
      if (readyAt !== null) this.#count.waited(jobType, msBetween(readyAt, event.data.startedAt))
      this.#remember(jobIdOf(event), { ...facts, readyAt: null })
    } else if (event.type === 'JobRetryScheduled') {
      this.#remember(jobIdOf(event), { ...facts, readyAt: event.data.runAt })
      this.#count.attempt(jobType, event.data.reason)
    } else if (isEnd(event)) {
      this.#jobs.delete(jobIdOf(event))
      const outcome = outcomes[event.type]
      const code = event.type === 'JobFailed' ? event.data.error.code : 'none'
      const ms = msBetween(facts.queuedAt, event.data.finishedAt)
      // While it waits for another attempt there is none to end.
      const isRunning = readyAt === null && event.type !== 'JobExpired' && event.data.attempt > 0
      if (isRunning) this.#count.attempt(jobType, outcome)
      this.#count.ended({ jobType, outcome, code, ms })
    }
  }
}

const outcomes = {
  JobSucceeded: 'succeeded',
  JobFailed: 'failed',
  JobCanceled: 'canceled',
  JobExpired: 'expired',
} as const

type JobEnd = Recorded<Extract<WeirEvent, { type: keyof typeof outcomes }>>

function isEnd(event: Recorded): event is JobEnd {
  return Object.hasOwn(outcomes, event.type)
}

type Ended = {
  readonly jobType: string
  readonly outcome: string
  readonly code: string
  readonly ms: number
}

function openCounters(series: Series, jobTypes: readonly string[]) {
  const job_type = jobTypes
  const jobs = series.count('weir_jobs_total', 'Jobs that ended.', {
    ...{ job_type: [], outcome: [], error_code: [] },
  })
  // Only what failed has an error.
  for (const outcome of Object.values(outcomes)) {
    const codes = outcome === 'failed' ? errorCodes.slice(1) : ['none']
    for (const type of job_type) {
      for (const error_code of codes) jobs({ job_type: type, outcome, error_code }, 0)
    }
  }
  const attempts = series.count('weir_job_attempts_total', 'Attempts, by what ended them.', {
    ...{ job_type, reason: reasons },
  })
  const wait = series.seconds(
    'weir_job_wait_seconds',
    'From the time at which a job could run until an attempt began.',
    { job_type },
    'long',
  )
  const whole = series.seconds(
    'weir_job_e2e_seconds',
    'From submit, or from a requeue, to the end.',
    { job_type },
    'long',
  )
  const units = series.count('weir_provider_units_total', 'What providers delivered.', {
    ...{ provider: [], model: [], unit: priceUnits },
  })
  const provider = closedSet(namesMax)
  const model = closedSet(namesMax)
  const counted = series.count(
    'weir_events_counted_total',
    'Events of the log that went into the counters of this process; where one projector carries ' +
      'the log, its newest ones.',
  )
  return {
    counted: (events: number): void => counted({}, events),
    waited: (jobType: string, ms: number): void => wait(ms, { job_type: jobType }),
    attempt: (jobType: string, reason: string): void => attempts({ job_type: jobType, reason }),
    ended: ({ jobType, outcome, code, ms }: Ended): void => {
      const error_code = errorCodes.includes(code) ? code : 'other'
      jobs({ job_type: jobType, outcome, error_code })
      whole(ms, { job_type: jobType })
    },
    units: (usage: UsageData): void => {
      const names = { provider: provider(usage.provider), model: model(usage.model ?? 'none') }
      for (const [unit, amount] of Object.entries(usage.units)) {
        units({ ...names, unit }, Number(amount))
      }
    },
  }
}

type UsageData = {
  readonly provider: string
  readonly model: string | null
  readonly units: Readonly<Record<string, string>>
}

function jobIdOf({ stream }: Recorded): string {
  return stream.slice('job-'.length)
}

function msBetween(from: string, to: string): number {
  return Date.parse(to) - Date.parse(from)
}
