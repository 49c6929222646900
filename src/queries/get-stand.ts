import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { Profile } from '../profiles/profile.ts'

/** Events that a lag counts at most: to read more for a figure would make it worse. */
const lagEventsMax = 1_000

/** How the running system stands, as the database knows it. Ages are 0 when nothing waits. */
export type Stand = {
  readonly queue: readonly QueueStand[]
  readonly holds: { readonly count: number; readonly oldestMs: number }
  /** Held by accounts, less what their open holds say: 0 unless something is wrong. */
  readonly driftMicro: number
  readonly consumers: readonly ConsumerStand[]
}

export type QueueStand = {
  readonly jobType: string
  readonly state: 'queued' | 'scheduled' | 'running'
  readonly count: number
  /** Since it could have run. */
  readonly oldestMs: number
}

/** A reader of the log that keeps a checkpoint. */
export type ConsumerStand = {
  readonly name: string
  /** Not handled yet; more than `lagEventsMax` are not counted. */
  readonly events: number
  readonly oldestMs: number
  readonly movedAtMs: number
}

const queueStatement = `
  SELECT job_type AS "jobType", s.state, count(*)::int AS count,
    greatest(0, extract(epoch FROM now() - min(coalesce(run_at, queued_at))) * 1000)::float8
      AS "oldestMs"
  FROM job_queue q CROSS JOIN LATERAL (
    SELECT CASE WHEN q.state = 'queued' AND q.run_at > now() THEN 'scheduled' ELSE q.state END
      AS state
  ) s
  GROUP BY job_type, s.state`

const holdsStatement = `
  SELECT count(*)::int AS count,
    coalesce(greatest(0, extract(epoch FROM now() - min(held_at)) * 1000), 0)::float8 AS "oldestMs"
  FROM credit_hold WHERE is_open`

const driftStatement = `
  SELECT coalesce(sum(abs(coalesce(b.held, 0) - coalesce(h.remaining, 0))), 0)::float8
    AS "driftMicro"
  FROM account_balance b FULL JOIN (
    SELECT org_id, sum(remaining) AS remaining FROM credit_hold WHERE is_open GROUP BY org_id
  ) h USING (org_id)`

const consumersStatement = `
  SELECT split_part(name, '/', 1) AS name, position,
    (extract(epoch FROM updated_at) * 1000)::float8 AS "movedAtMs"
  FROM projection_checkpoint
  WHERE generation = 'live'
  ORDER BY 1`

type Ports = Pick<Profile, 'sql' | 'newFeed' | 'clock'>

/** Four statements, one after the other: a look at the system must not take its connections. */
export async function getStand(ports: Ports): Promise<Stand> {
  const { sql } = ports
  const queue = await sql<QueueStand>('stand-queue', queueStatement, [])
  const [holds] = await sql<Stand['holds']>('stand-holds', holdsStatement, [])
  const [drift] = await sql<{ driftMicro: number }>('stand-drift', driftStatement, [])
  const consumers = await standsOfConsumers(ports)
  return {
    queue,
    holds: holds ?? { count: 0, oldestMs: 0 },
    driftMicro: drift?.driftMicro ?? 0,
    consumers,
  }
}

type ConsumerRow = { readonly name: string; readonly position: string; readonly movedAtMs: number }

/** A consumer whose shares of the log stand at different places is told by the furthest one. */
async function standsOfConsumers({ sql, newFeed, clock }: Ports): Promise<ConsumerStand[]> {
  const feed = newFeed()
  const furthest = new Map<string, ConsumerRow>()
  for (const row of await sql<ConsumerRow>('stand-consumers', consumersStatement, [])) {
    const known = furthest.get(row.name)
    if (!known || feed.compare(row.position, known.position) > 0) furthest.set(row.name, row)
  }
  const lags = new Map<string, Lag>()
  const consumers: ConsumerStand[] = []
  for (const { name, position, movedAtMs } of furthest.values()) {
    const lag = lags.get(position) ?? (await lagOf(feed, position, clock.now()))
    lags.set(position, lag)
    consumers.push({ name, movedAtMs, ...lag })
  }
  return consumers
}

type Lag = Pick<ConsumerStand, 'events' | 'oldestMs'>

async function lagOf(feed: EventFeed, position: string, now: number): Promise<Lag> {
  const { events } = await feed.readPage(position, lagEventsMax)
  const [oldest] = events
  const oldestMs = oldest ? Math.max(0, now - Date.parse(oldest.meta.at)) : 0
  return { events: events.length, oldestMs }
}
