import { WebhookTransport } from '../../domain/ports/webhook-transport.ts'
import type { OutgoingDelivery, WebhookAnswer } from '../../domain/ports/webhook-transport.ts'
import type { Projection } from '../../projections/projection.ts'
import { enabledJobTypes } from '../../workers/handlers/registry.ts'
import { LogCounters } from '../metrics/log-counters.ts'
import type { JobFacts } from '../metrics/log-counters.ts'
import { openProjectorMetrics } from '../metrics/projector.ts'
import type { ProjectorMetrics } from '../metrics/projector.ts'
import type { Series } from '../metrics/registry.ts'
import type { Profile } from '../profiles/profile.ts'
import { getStand } from '../queries/get-stand.ts'
import type { Sql } from '../queries/sql.ts'

/** Reactions that keep a checkpoint of their own beside the read models. */
const reactions = ['settlement']

type StandPorts = 'config' | 'sql' | 'newFeed' | 'clock' | 'carriage' | 'partitions' | 'lastCarried'

/** Opens what the projector shows on its metrics port. */
export function openProjectorSeries(
  series: Series,
  profile: Pick<Profile, StandPorts>,
  readModels: readonly Projection[],
): ProjectorMetrics {
  const { config, clock, carriage } = profile
  return openProjectorMetrics(series, {
    jobTypes: [...enabledJobTypes({ sandbox: config.isSandboxOn }).keys()],
    consumers: [...readModels.map(({ name }) => name), ...reactions],
    readStand: () => getStand({ ...profile, projections: readModels }),
    readCarriage: carriage,
    now: () => clock.now(),
  })
}

/** Opens the counters of events. */
export function openLogCounters(
  series: Series,
  { config, sql, newFeed }: Pick<Profile, 'config' | 'sql' | 'newFeed'>,
): LogCounters {
  const feed = newFeed()
  return new LogCounters(series, {
    jobTypes: [...enabledJobTypes({ sandbox: config.isSandboxOn }).keys()],
    compare: (a, b) => feed.compare(a, b),
    findJobs: (jobIds) => findJobs(sql, jobIds),
  })
}

/** Where the read models stand that are furthest on in a share of the log. */
export async function furthestStand(
  { newFeed, readModels }: Pick<Profile, 'newFeed' | 'readModels'>,
  projections: readonly Projection[],
  share: string,
): Promise<string> {
  const feed = newFeed()
  const stands = await Promise.all(
    projections.map(({ name, version }) => readModels.checkpoint(name, version, 'live', share)),
  )
  const positions = stands.map((stand) => stand ?? feed.start)
  return positions.sort((a, b) => feed.compare(a, b)).at(-1) ?? feed.start
}

type JobRow = {
  readonly job_id: string
  readonly job_type: string
  readonly created_at: string
}

async function findJobs(sql: Sql, jobIds: readonly string[]) {
  const rows = await sql<JobRow>(
    'job-facts',
    'SELECT job_id, job_type, created_at FROM job_status WHERE job_id = ANY ($1)',
    [jobIds],
  )
  const facts = rows.map((row): readonly [string, JobFacts] => [
    row.job_id,
    { jobType: row.job_type, queuedAt: row.created_at, readyAt: null },
  ])
  return new Map(facts)
}

/** Measures how late webhooks arrive: from the time that their body tells. */
export class TimedTransport extends WebhookTransport {
  readonly #transport: WebhookTransport
  readonly #now: () => number
  readonly #arrived: (ms: number) => void

  constructor(transport: WebhookTransport, now: () => number, arrived: (ms: number) => void) {
    super()
    this.#transport = transport
    this.#now = now
    this.#arrived = arrived
  }

  override async send(
    delivery: OutgoingDelivery,
    sentAtMs: number,
    signal: AbortSignal,
  ): Promise<WebhookAnswer> {
    const answer = await this.#transport.send(delivery, sentAtMs, signal)
    const status = answer.kind === 'answered' ? answer.httpStatus : 0
    const told = /"timestamp":"([^"]+)"/.exec(delivery.body)?.[1]
    const isTaken = status >= 200 && status < 300
    if (isTaken && told !== undefined) this.#arrived(this.#now() - Date.parse(told))
    return answer
  }
}
