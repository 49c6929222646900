import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
/** Jobs may run for an hour. */
const longSecondsBuckets = [...secondsBuckets, 300, 900, 3_600]

/** Longest wait for what only others know, ms: whoever scrapes gives up after some ten seconds. */
const refreshMsMax = 3_000

/** The only values that a label may have; every combination stands at 0 from the start. */
export type Labels = Readonly<Record<string, readonly string[]>>
type Values = Readonly<Record<string, string>>

export type Count = (values?: Values, by?: number) => void
/** Takes ms; Prometheus is told seconds. */
export type Observe = (ms: number, values?: Values) => void
export type SetGauge = {
  (value: number, values?: Values): void
  /** Takes all its values away: what is not known is not told. */
  readonly forget: () => void
}

/** Asks for what only others know; its gauges tell nothing until it is known. */
type Refresher = { readonly run: () => Promise<void>; readonly gauges: readonly SetGauge[] }

/** The series of one process, and what refreshes them when somebody looks. */
export class Series {
  readonly #registry = new Registry()
  readonly #refreshers: Refresher[] = []
  #telling: Promise<string> | null = null

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
  }

  count(name: string, help: string, labels: Labels = {}): Count {
    const labelNames = Object.keys(labels)
    const counter = new Counter({ name, help, labelNames, registers: [this.#registry] })
    for (const values of combinations(labels)) counter.inc(values, 0)
    return (values = {}, by = 1) => counter.inc(values, by)
  }

  /** @param isLong for what may take an hour instead of a minute */
  seconds(name: string, help: string, labels: Labels = {}, isLong: 'long' | '' = ''): Observe {
    const labelNames = Object.keys(labels)
    const buckets = isLong ? longSecondsBuckets : secondsBuckets
    const registers = [this.#registry]
    const histogram = new Histogram({ name, help, labelNames, buckets, registers })
    for (const values of combinations(labels)) histogram.zero(values)
    return (ms, values = {}) => histogram.observe(values, Math.max(0, ms) / 1_000)
  }

  gauge(name: string, help: string, labels: Labels = {}): SetGauge {
    const labelNames = Object.keys(labels)
    const gauge = new Gauge({ name, help, labelNames, registers: [this.#registry] })
    for (const values of combinations(labels)) gauge.set(values, 0)
    const set = (value: number, values: Values = {}): void => gauge.set(values, value)
    const forget = (): void => {
      gauge.reset()
      // Without labels it would stand at 0, as if that were known.
      if (labelNames.length === 0) gauge.remove()
    }
    return Object.assign(set, { forget })
  }

  /**
   * Runs before each answer, once at a time.
   *
   * @param gauges that it sets: when it fails, or is not there in time, they tell nothing
   */
  refresh(run: () => Promise<void>, gauges: readonly SetGauge[] = []): void {
    let running: Promise<void> | null = null
    const ended = (): void => void (running = null)
    this.#refreshers.push({ run: () => (running ??= run().finally(ended)), gauges })
  }

  /** Prometheus text, for `GET /metrics`; who asks at the same time gets the same. */
  text(limitMs = refreshMsMax): Promise<string> {
    const ended = (): void => void (this.#telling = null)
    return (this.#telling ??= this.#tell(limitMs).finally(ended))
  }

  async #tell(limitMs: number): Promise<string> {
    const unknown = new Set(this.#refreshers)
    const refreshed = this.#refreshers.map(async (refresher) => {
      await refresher.run()
      unknown.delete(refresher)
    })
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, limitMs)
      void Promise.allSettled(refreshed).then(() => {
        clearTimeout(limit)
        resolve()
      })
    })
    for (const { gauges } of unknown) for (const gauge of gauges) gauge.forget()
    return this.#registry.metrics()
  }
}

/** Every combination of the values; none when a label's values are not listed beforehand. */
function combinations(labels: Labels): Values[] {
  let all: Values[] = [{}]
  for (const [name, values] of Object.entries(labels)) {
    all = all.flatMap((known) => values.map((value) => ({ ...known, [name]: value })))
  }
  return all
}

/**
 * Closes a set of values that is only known from what happens: the first `max` are kept, later
 * ones become `other`.
 */
export function closedSet(max: number): (value: string) => string {
  const known = new Set<string>()
  return (value) => {
    if (known.has(value)) return value
    if (known.size >= max) return 'other'
    known.add(value)
    return value
  }
}
