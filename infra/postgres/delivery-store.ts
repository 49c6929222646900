import type pg from 'pg'
import {
  DeliveryStore,
  type ClaimedDelivery,
  type DeliveryClaim,
  type DeliveryOutcome,
  type DeliveryQuery,
  type DeliveryState,
  type DeliveryStatus,
  type NewDelivery,
} from '../../domain/ports/delivery-store.ts'
import { expiryAfter } from './expiry.ts'

// $1 ids, $2 orgs, $3 jobs, $4 endpoints, $5 urls, $6 types, $7 sequences, $8 bodies, $9 times
const enqueueSql = `
  INSERT INTO webhook_outbox (delivery_id, org_id, job_id, endpoint_id, url, event_type,
    sequence, body, next_attempt_at, created_at, updated_at)
  SELECT id, org, job, endpoint, url, type, sequence, body, at, at, at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[],
    $8::text[], $9::timestamptz[])
    AS given (id, org, job, endpoint, url, type, sequence, body, at)
  ON CONFLICT (delivery_id) DO NOTHING`

// $1 now, $2 limit, $3 lock in ms, $4 at most per host, $5 under way as {"host": count}, $6 at most
// per org, $7 under way as {"org": count}
//
// `recipient` jumps along the index from one host with pending rows to the next; of each host only
// as many rows are read as it has room for. A backlog therefore costs nothing, and no statistics
// are needed to find the plan. Measured with 80,000 due rows of three hosts, PostgreSQL 18, on two
// busy cores: reading due rows by time and dropping hosts without room took 65 to 190 ms, this 1 to
// 20 ms. The price is about 20 µs for each host that has pending rows.
//
// The conditions stand again at the locked row: another sender may have claimed it meanwhile.
const claimSql = `
  WITH RECURSIVE recipient AS (
    (SELECT host FROM webhook_outbox WHERE status = 'pending' ORDER BY host LIMIT 1)
    UNION ALL
    SELECT next.host
    FROM recipient CROSS JOIN LATERAL (
      SELECT host FROM webhook_outbox
      WHERE status = 'pending' AND host > recipient.host
      ORDER BY host LIMIT 1
    ) AS next
  ), room AS (
    SELECT host, coalesce(($5::jsonb ->> host)::int, 0) AS taken FROM recipient
  ), placed AS (
    SELECT due.delivery_id, due.org_id, due.next_attempt_at, room.taken + due.number AS place
    FROM room CROSS JOIN LATERAL (
      SELECT delivery_id, org_id, next_attempt_at,
        row_number() OVER (ORDER BY next_attempt_at, delivery_id) AS number
      FROM webhook_outbox
      WHERE status = 'pending' AND host = room.host AND next_attempt_at <= $1
        AND (locked_until IS NULL OR locked_until <= statement_timestamp())
      ORDER BY next_attempt_at, delivery_id
      LIMIT greatest($4::int - room.taken, 0)
    ) AS due
  ), ranked AS (
    SELECT delivery_id, next_attempt_at,
      coalesce(($7::jsonb ->> org_id)::int, 0) + row_number() OVER (
        PARTITION BY org_id ORDER BY place, next_attempt_at, delivery_id
      ) AS rank
    FROM placed
  ), taken AS (
    SELECT delivery.delivery_id
    FROM (
      SELECT delivery_id FROM ranked WHERE rank <= $6
      ORDER BY rank, next_attempt_at, delivery_id
    ) AS chosen CROSS JOIN LATERAL (
      SELECT delivery_id FROM webhook_outbox
      WHERE delivery_id = chosen.delivery_id AND status = 'pending' AND next_attempt_at <= $1
        AND (locked_until IS NULL OR locked_until <= statement_timestamp())
      LIMIT 1
      FOR UPDATE SKIP LOCKED
    ) AS delivery
    LIMIT $2
  )
  UPDATE webhook_outbox
  SET locked_until = date_trunc('milliseconds', ${expiryAfter('$3')})
  WHERE delivery_id = ANY (ARRAY(SELECT delivery_id FROM taken))
  RETURNING delivery_id, org_id, job_id, endpoint_id, url, host, event_type, sequence,
    body, attempt, locked_until, next_attempt_at`

// $1 id, $2 the claim's lock, $3 status, $4 next attempt or null, $5 http status, $6 error, $7 now
const finishSql = `
  UPDATE webhook_outbox
  SET status = $3, attempt = attempt + 1, next_attempt_at = coalesce($4, next_attempt_at),
    locked_until = NULL, last_status = $5, last_error = $6, updated_at = $7
  WHERE delivery_id = $1 AND locked_until = $2 AND status = 'pending'`

// $1 ids, $2 the claims' locks
const releaseSql = `
  UPDATE webhook_outbox
  SET locked_until = NULL
  WHERE delivery_id = ANY ($1)
    AND locked_until = ($2::timestamptz[])[array_position($1::text[], delivery_id)]`

const stateColumns = `delivery_id, org_id, job_id, endpoint_id, url, event_type, sequence, status,
    attempt, next_attempt_at, locked_until, last_status, last_error, created_at`

// $1 id
const findSql = `
  SELECT ${stateColumns}
  FROM webhook_outbox
  WHERE delivery_id = $1`

// $1 org, $2 $3 after (created, id) or null, $4 limit. The status stands in the text, so that the
// planner may use the index of those that few rows have.
const listSql = (status: DeliveryStatus | null) => `
  SELECT ${stateColumns}
  FROM webhook_outbox
  WHERE org_id = $1 ${status === null ? '' : `AND status = '${status}'`}
    AND ($2::timestamptz IS NULL OR (created_at, delivery_id) < ($2, $3))
  ORDER BY created_at DESC, delivery_id DESC
  LIMIT $4`

// $1 id, $2 now
const replaySql = `
  UPDATE webhook_outbox
  SET status = 'pending', attempt = 0, next_attempt_at = $2, locked_until = NULL, updated_at = $2
  WHERE delivery_id = $1 AND status <> 'pending'`

// $1 reason, $2 now
const parkAllSql = `
  UPDATE webhook_outbox
  SET status = 'parked', locked_until = NULL, last_error = $1, updated_at = $2
  WHERE status = 'pending'`

// $1 before, $2 limit. Org by org along the index of its list, oldest first: an index by age alone
// would cost every delivery that is written.
const forgetSql = `
  WITH RECURSIVE org AS (
    (SELECT org_id FROM webhook_outbox ORDER BY org_id LIMIT 1)
    UNION ALL
    SELECT next.org_id
    FROM org CROSS JOIN LATERAL (
      SELECT org_id FROM webhook_outbox WHERE org_id > org.org_id ORDER BY org_id LIMIT 1
    ) AS next
  ), old AS (
    SELECT taken.delivery_id
    FROM org CROSS JOIN LATERAL (
      SELECT delivery_id FROM webhook_outbox
      WHERE org_id = org.org_id AND created_at < $1 AND status = 'delivered'
      ORDER BY created_at
      LIMIT $2
    ) AS taken
    LIMIT $2
  )
  DELETE FROM webhook_outbox
  WHERE delivery_id = ANY (ARRAY(SELECT delivery_id FROM old)) AND status = 'delivered'`

type ClaimedRow = {
  delivery_id: string
  org_id: string
  job_id: string | null
  endpoint_id: string | null
  url: string
  host: string
  event_type: string
  sequence: number
  body: string
  attempt: number
  locked_until: Date
  next_attempt_at: Date
}

type StateRow = {
  delivery_id: string
  org_id: string
  job_id: string | null
  endpoint_id: string | null
  url: string
  event_type: string
  sequence: number
  status: DeliveryStatus
  attempt: number
  next_attempt_at: Date
  locked_until: Date | null
  last_status: number | null
  last_error: string | null
  created_at: Date
}

/**
 * Deliveries in the table `webhook_outbox`. When one is due is told by the caller, and when a claim
 * ends by the server.
 */
export class PostgresDeliveryStore extends DeliveryStore {
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
  }

  override async enqueue(deliveries: readonly NewDelivery[]): Promise<void> {
    if (deliveries.length === 0) return
    await this.#pool.query(enqueueSql, [
      deliveries.map((each) => each.deliveryId),
      deliveries.map((each) => each.orgId),
      deliveries.map((each) => each.jobId),
      deliveries.map((each) => each.endpointId),
      deliveries.map((each) => each.url),
      deliveries.map((each) => each.eventType),
      deliveries.map((each) => each.sequence),
      deliveries.map((each) => each.body),
      deliveries.map((each) => new Date(each.nowMs)),
    ])
  }

  override async claimDue(claim: DeliveryClaim): Promise<readonly ClaimedDelivery[]> {
    const { rows } = await this.#pool.query<ClaimedRow>(claimSql, [
      new Date(claim.nowMs),
      claim.limit,
      claim.leaseMs,
      claim.perHostMax,
      JSON.stringify(Object.fromEntries(claim.inFlightByHost)),
      claim.perOrgMax,
      JSON.stringify(Object.fromEntries(claim.inFlightByOrg)),
    ])
    // UPDATE returns rows in no order.
    return rows
      .sort((left, right) => left.next_attempt_at.getTime() - right.next_attempt_at.getTime())
      .map(toClaimed)
  }

  override async finish(
    claimed: ClaimedDelivery,
    outcome: DeliveryOutcome,
    nowMs: number,
  ): Promise<boolean> {
    const isRetry = outcome.kind === 'retry'
    const { rowCount } = await this.#pool.query(finishSql, [
      claimed.deliveryId,
      new Date(claimed.lockedUntilMs),
      isRetry ? 'pending' : outcome.kind,
      isRetry ? new Date(outcome.nextAttemptAtMs) : null,
      outcome.httpStatus,
      outcome.error,
      new Date(nowMs),
    ])
    return rowCount === 1
  }

  override async release(claimed: readonly ClaimedDelivery[]): Promise<void> {
    if (claimed.length === 0) return
    await this.#pool.query(releaseSql, [
      claimed.map((each) => each.deliveryId),
      claimed.map((each) => new Date(each.lockedUntilMs)),
    ])
  }

  override async find(deliveryId: string): Promise<DeliveryState | null> {
    const { rows } = await this.#pool.query<StateRow>(findSql, [deliveryId])
    const row = rows[0]
    return row === undefined ? null : toState(row)
  }

  override async list(query: DeliveryQuery): Promise<readonly DeliveryState[]> {
    const { orgId, status, after, limit } = query
    const { rows } = await this.#pool.query<StateRow>(listSql(status), [
      orgId,
      after && new Date(after.createdAtMs),
      after?.deliveryId ?? null,
      limit,
    ])
    return rows.map(toState)
  }

  override async replay(deliveryId: string, nowMs: number): Promise<boolean> {
    const { rowCount } = await this.#pool.query(replaySql, [deliveryId, new Date(nowMs)])
    return rowCount === 1
  }

  override async forget(beforeMs: number, countMax: number): Promise<number> {
    const { rowCount } = await this.#pool.query(forgetSql, [new Date(beforeMs), countMax])
    return rowCount ?? 0
  }

  override async parkAll(error: string, nowMs: number): Promise<number> {
    const { rowCount } = await this.#pool.query(parkAllSql, [error, new Date(nowMs)])
    return rowCount ?? 0
  }
}

function toClaimed(row: ClaimedRow): ClaimedDelivery {
  return {
    deliveryId: row.delivery_id,
    orgId: row.org_id,
    jobId: row.job_id,
    endpointId: row.endpoint_id,
    url: row.url,
    host: row.host,
    eventType: row.event_type,
    sequence: row.sequence,
    body: row.body,
    attempt: row.attempt,
    lockedUntilMs: row.locked_until.getTime(),
  }
}

function toState(row: StateRow): DeliveryState {
  return {
    deliveryId: row.delivery_id,
    orgId: row.org_id,
    jobId: row.job_id,
    endpointId: row.endpoint_id,
    url: row.url,
    eventType: row.event_type,
    sequence: row.sequence,
    status: row.status,
    attempt: row.attempt,
    nextAttemptAtMs: row.next_attempt_at.getTime(),
    lockedUntilMs: row.locked_until === null ? null : row.locked_until.getTime(),
    lastStatus: row.last_status,
    lastError: row.last_error,
    createdAtMs: row.created_at.getTime(),
  }
}
