import type pg from 'pg'
import { PostgresDeliveryStore } from '../../infra/postgres/delivery-store.ts'
import { PostgresHoldWatch } from '../../infra/postgres/hold-watch.ts'
import { PostgresIdempotencyStore } from '../../infra/postgres/idempotency-store.ts'
import { PostgresLeaseStore } from '../../infra/postgres/lease-store.ts'
import { PostgresLimitStore } from '../../infra/postgres/limit-store.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { sqlOver } from '../../infra/postgres/sql.ts'

/** Connections of one process. Few: batches do the work, and every one costs Postgres memory. */
export const connectionsMax = 8

/** What lives in Postgres in every profile: read models, leases, limits, deliveries. */
export function postgresParts(pool: pg.Pool) {
  return {
    sql: sqlOver(pool),
    leases: new PostgresLeaseStore(pool),
    limits: new PostgresLimitStore(pool),
    holds: new PostgresHoldWatch(pool),
    readModels: new PostgresReadModelStore(pool),
    deliveries: new PostgresDeliveryStore(pool),
    idempotency: new PostgresIdempotencyStore(pool),
  }
}
