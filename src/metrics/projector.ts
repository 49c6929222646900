import { isRecent } from '../../domain/ports/clock.ts'
import type { Carriage } from '../profiles/profile.ts'
import type { Stand } from '../queries/get-stand.ts'
import type { Series } from './registry.ts'

/** What the projector's loops count as they go. */
export type ProjectorMetrics = {
  readonly hole: () => void
  /** One attempt to send a webhook ended. */
  readonly delivered: (outcome: string) => void
  /** A webhook reached its receiver, so long after the transition it tells. */
  readonly arrived: (ms: number) => void
}

export type ProjectorMetricsOptions = {
  readonly jobTypes: readonly string[]
  /** Read models and reactions, by the names of their checkpoints. */
  readonly consumers: readonly string[]
  readonly readStand: () => Promise<Stand>
  /** Null where nothing carries the log. */
  readonly readCarriage: (() => Promise<Carriage>) | null
  readonly now: () => number
}

/** Several scrapers within this time are answered from one look into the database, ms. */
const standKeptMs = 1_000

export function openProjectorMetrics(
  series: Series,
  options: ProjectorMetricsOptions,
): ProjectorMetrics {
  watchStand(series, options)
  if (options.readCarriage) watchCarriage(series, options.readCarriage)
  const holes = series.count(
    'weir_projection_holes_total',
    'Events that a read model has missed: any is a fault.',
  )
  const deliveries = series.count(
    'weir_webhook_deliveries_total',
    'Attempts to send a webhook, by what became of it.',
    { outcome: ['delivered', 'retry', 'parked'] },
  )
  const delay = series.seconds(
    'weir_webhook_delay_seconds',
    'From a transition until its webhook was taken by the receiver.',
    {},
    'long',
  )
  return {
    hole: () => holes(),
    delivered: (outcome) => deliveries({ outcome }),
    arrived: (ms) => delay(ms),
  }
}

/** Gauges that the database knows, asked for when somebody looks. */
function watchStand(series: Series, options: ProjectorMetricsOptions): void {
  const { jobTypes, consumers, readStand, now } = options
  const { show, gauges } = standGauges(series, jobTypes, consumers)
  let shownAt = -Infinity
  series.refresh(async () => {
    if (isRecent(shownAt, now(), standKeptMs)) return
    const stand = await readStand()
    shownAt = now()
    show(stand)
  }, gauges)
}

function watchCarriage(series: Series, read: () => Promise<Carriage>): void {
  const lag = series.gauge('weir_relay_lag_events', 'Events that are not published to Kafka yet.')
  const lagSeconds = series.gauge(
    'weir_relay_lag_seconds',
    'Age of the oldest event that is not published to Kafka yet.',
  )
  const deadLetters = series.gauge(
    'weir_dead_letters',
    'Records that could not be read and were put aside, since the process began.',
  )
  const progress = series.gauge(
    'weir_kafka_consumer_last_progress_timestamp_seconds',
    'When a consumer of Kafka moved on the last time, seconds since the epoch.',
    { consumer: [] },
  )
  series.refresh(async () => {
    const carriage = await read()
    lag(carriage.relayLag.events)
    lagSeconds(carriage.relayLag.oldestMs / 1_000)
    deadLetters(carriage.deadLetters)
    for (const { consumer, progressAtMs } of carriage.consumers) {
      progress(progressAtMs / 1_000, { consumer })
    }
  }, [lag, lagSeconds, deadLetters, progress])
}

const states = ['queued', 'scheduled', 'running'] as const

function standGauges(series: Series, jobTypes: readonly string[], consumers: readonly string[]) {
  const depth = series.gauge('weir_queue_depth', 'Live jobs.', {
    ...{ job_type: jobTypes, state: states },
  })
  const oldest = series.gauge(
    'weir_queue_oldest_age_seconds',
    'How long the oldest job has been waiting that could run.',
    { job_type: jobTypes },
  )
  const holds = series.gauge('weir_credit_holds_open', 'Holds that are not settled yet.')
  const oldestHold = series.gauge('weir_credit_hold_oldest_age_seconds', 'Age of the oldest hold.')
  const drift = series.gauge(
    'weir_ledger_drift_microcredits',
    'Difference between what accounts hold and what their open holds say: any is a fault.',
  )
  const lag = series.gauge('weir_projection_lag_events', 'Events that are not handled yet.', {
    projection: consumers,
  })
  const lagSeconds = series.gauge(
    'weir_projection_lag_seconds',
    'Age of the oldest event that is not handled yet.',
    { projection: consumers },
  )
  const progress = series.gauge(
    'weir_consumer_last_progress_timestamp_seconds',
    'When the consumer moved on the last time, seconds since the epoch.',
    { consumer: consumers },
  )
  const show = (stand: Stand): void => {
    for (const job_type of jobTypes) {
      const ofType = stand.queue.filter((row) => row.jobType === job_type)
      for (const state of states) {
        depth(ofType.find((row) => row.state === state)?.count ?? 0, { job_type, state })
      }
      const ready = ofType.find(({ state }) => state === 'queued')
      oldest((ready?.oldestMs ?? 0) / 1_000, { job_type })
    }
    holds(stand.holds.count)
    oldestHold(stand.holds.oldestMs / 1_000)
    drift(stand.driftMicro)
    for (const { name, events, oldestMs, movedAtMs } of stand.consumers) {
      if (!consumers.includes(name)) continue
      lag(events, { projection: name })
      lagSeconds(oldestMs / 1_000, { projection: name })
      progress(movedAtMs / 1_000, { consumer: name })
    }
  }
  const gauges = [depth, oldest, holds, oldestHold, drift, lag, lagSeconds, progress]
  return { show, gauges }
}
