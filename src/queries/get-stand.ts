import type { Sql } from './sql.ts'

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
  /** Positions between its checkpoint and the end of the log; a rolled-back append leaves a gap. */
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
  SELECT coalesce(sum(abs(b.held - coalesce(h.remaining, 0))), 0)::float8 AS "driftMicro"
  FROM account_balance b LEFT JOIN (
    SELECT org_id, sum(remaining) AS remaining FROM credit_hold WHERE is_open GROUP BY org_id
  ) h USING (org_id)`

const consumersStatement = `
  WITH log AS MATERIALIZED (SELECT feed_head() AS head)
  SELECT c.name, greatest(0, log.head - c.position::bigint)::float8 AS events,
    coalesce(greatest(0, extract(epoch FROM now() - e.recorded_at) * 1000), 0)::float8
      AS "oldestMs",
    (extract(epoch FROM c.updated_at) * 1000)::float8 AS "movedAtMs"
  FROM projection_checkpoint c CROSS JOIN log LEFT JOIN LATERAL (
    SELECT x.recorded_at FROM event x
    WHERE x.position > c.position::bigint AND x.position <= log.head
    ORDER BY x.position LIMIT 1
  ) e ON true
  WHERE c.generation = 'live'
  ORDER BY c.name`

/** Four statements, one after the other: a look at the system must not take its connections. */
export async function getStand(sql: Sql): Promise<Stand> {
  const queue = await sql<QueueStand>('stand-queue', queueStatement, [])
  const [holds] = await sql<Stand['holds']>('stand-holds', holdsStatement, [])
  const [drift] = await sql<{ driftMicro: number }>('stand-drift', driftStatement, [])
  const consumers = await sql<ConsumerStand>('stand-consumers', consumersStatement, [])
  return {
    queue,
    holds: holds ?? { count: 0, oldestMs: 0 },
    driftMicro: drift?.driftMicro ?? 0,
    consumers,
  }
}
