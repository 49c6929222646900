import { isAccountEvent, isJobEvent, isKnownEvent } from '../../domain/catalog.ts'
import type { Recorded } from '../../domain/catalog.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { Found } from './violation.ts'

/** One line of what a process exports. */
export type Sample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const pageEventsMax = 1_000
const outcomes: Readonly<Record<string, string>> = {
  JobSucceeded: 'succeeded',
  JobFailed: 'failed',
  JobCanceled: 'canceled',
  JobExpired: 'expired',
}
/** The counters that tell of the log, and the labels that are compared. */
const compared: Readonly<Record<string, readonly string[]>> = {
  weir_jobs_total: ['job_type', 'outcome'],
  weir_job_e2e_seconds_count: ['job_type'],
  weir_job_attempts_total: ['job_type', 'reason'],
  weir_provider_units_total: ['unit'],
}

/**
 * I15: the counters of a projector agree with the log. It says how many events it has counted,
 * which are the newest ones, so those are counted again, by rules of their own. Call it when
 * nothing is written any more, and where one projector carries the log.
 *
 * @returns how many events were counted
 */
export async function checkCounters(
  feed: EventFeed,
  samples: readonly Sample[],
  found: Found,
): Promise<number> {
  const counted = sumOf(samples.filter(({ name }) => name === 'weir_events_counted_total'))
  let known = 0
  for await (const _event of eventsOf(feed)) known += 1
  if (counted > known) {
    found('I15', 'weir_events_counted_total', `${counted} are counted, the log has ${known}`)
    return counted
  }
  const count = new Count()
  let n = 0
  for await (const event of eventsOf(feed)) {
    count.see(event, n >= known - counted)
    n += 1
  }
  for (const [name, labels] of Object.entries(compared)) {
    compare(name, totals(name, labels, samples), count, found)
  }
  return counted
}

async function* eventsOf(feed: EventFeed): AsyncGenerator<Recorded, void> {
  for (let position = feed.start; ;) {
    const page = await feed.readPage(position, pageEventsMax)
    for (const event of page.events) if (isKnownEvent(event)) yield event
    if (page.position === position) return
    position = page.position
  }
}

type Life = { readonly jobType: string; isRunning: boolean; isCounted: boolean }

/** What the log says, by counter and labels. */
class Count {
  readonly sums = new Map<string, number>()
  /** Ends of jobs of which nothing else was counted: nobody could know whether they ran. */
  readonly doubtful = new Map<string, number>()
  readonly #jobs = new Map<string, Life>()

  see(event: Recorded, isCounted: boolean): void {
    if (isJobEvent(event)) this.#seeJob(event, isCounted)
    else if (isCounted && isAccountEvent(event) && event.type === 'UsageRecorded') {
      for (const [unit, amount] of Object.entries(event.data.units)) {
        add(this.sums, seriesOf('weir_provider_units_total', [unit]), Number(amount))
      }
    }
  }

  #seeJob(event: Recorded<JobEvent>, isCounted: boolean): void {
    if (event.type === 'JobSubmitted') {
      const { jobType } = event.data
      this.#jobs.set(event.stream, { jobType, isRunning: false, isCounted })
      return
    }
    const job = this.#jobs.get(event.stream)
    if (!job) return
    const { jobType, isRunning, isCounted: isKnown } = job
    const outcome = outcomes[event.type]
    if (event.type === 'JobStarted') job.isRunning = true
    if (event.type === 'JobRetryScheduled' || outcome !== undefined) job.isRunning = false
    job.isCounted ||= isCounted
    if (!isCounted) return
    if (event.type === 'JobRetryScheduled') {
      add(this.sums, seriesOf('weir_job_attempts_total', [jobType, event.data.reason]), 1)
    }
    if (outcome === undefined) return
    add(this.sums, seriesOf('weir_jobs_total', [jobType, outcome]), 1)
    add(this.sums, seriesOf('weir_job_e2e_seconds_count', [jobType]), 1)
    const attempts = seriesOf('weir_job_attempts_total', [jobType, outcome])
    if (isRunning) add(this.sums, attempts, 1)
    else if (!isKnown) add(this.doubtful, attempts, 1)
  }
}

function compare(
  name: string,
  exported: ReadonlyMap<string, number>,
  { sums, doubtful }: Count,
  found: Found,
): void {
  const names = [...exported.keys(), ...sums.keys()].filter((key) => key.startsWith(`${name} `))
  for (const key of new Set(names)) {
    const told = exported.get(key) ?? 0
    const least = sums.get(key) ?? 0
    const most = least + (doubtful.get(key) ?? 0)
    // Units may have fractions, and sums of them roundings.
    const slack = most * 1e-9
    if (told >= least - slack && told <= most + slack) continue
    found('I15', key, `${told} are exported, the log has ${least}`)
  }
}

function totals(
  name: string,
  labels: readonly string[],
  samples: readonly Sample[],
): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const sample of samples) {
    if (sample.name !== name) continue
    const values = labels.map((label) => sample.labels[label] ?? '')
    add(sums, seriesOf(name, values), sample.value)
  }
  return sums
}

const seriesOf = (name: string, values: readonly string[]): string => `${name} ${values.join(' ')}`

function add(sums: Map<string, number>, key: string, by: number): void {
  sums.set(key, (sums.get(key) ?? 0) + by)
}

function sumOf(samples: readonly Sample[]): number {
  return samples.reduce((sum, { value }) => sum + value, 0)
}
