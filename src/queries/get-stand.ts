import { standsOfConsumers } from './consumer-stands.ts'
import type { ConsumerPorts, ConsumerStand } from './consumer-stands.ts'

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

/** Four statements, one after the other: a look at the system must not take its connections. */
export async function getStand(ports: ConsumerPorts): Promise<Stand> {
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
