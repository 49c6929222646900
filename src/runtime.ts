import type { Pipelines } from '../domain/aggregates.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { DeliveryStore } from '../domain/ports/delivery-store.ts'
import type { IdempotencyStore } from '../domain/ports/idempotency-store.ts'
import type { Ids } from '../domain/ports/ids.ts'
import type { LimitStore } from '../domain/ports/limit-store.ts'
import type { ObjectStore } from '../domain/ports/object-store.ts'
import type { Signals } from '../domain/ports/signals.ts'
import type { EventStore } from '../domain/ports/event-store.ts'
import type { JobType } from '../workers/handlers/job-type.ts'
import type { Config } from './config.ts'
import type { ServedObjectStore } from './http/objects.ts'
import type { Log } from './log.ts'
import type { ApiMetrics } from './metrics/api.ts'
import type { Sql } from './queries/sql.ts'
import type { StartSpan } from './telemetry/telemetry.ts'

/** Judges a URL that a customer names, before anything is sent to it. */
export type UrlVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string; readonly wouldHelp: boolean }

/** Everything that the api is made of; a profile builds it, nothing else knows the adapters. */
export type Runtime = {
  readonly config: Config
  readonly log: Log
  readonly metrics: ApiMetrics
  /** Null unless traces are collected. */
  readonly startSpan: StartSpan | null
  readonly clock: Clock
  readonly ids: Ids
  readonly store: EventStore
  readonly pipelines: Pipelines
  readonly sql: Sql
  readonly objects: ObjectStore
  /** The same store when its signed URLs lead to this api; null when they lead elsewhere. */
  readonly servedObjects: ServedObjectStore | null
  readonly signals: Signals
  readonly deliveries: DeliveryStore
  readonly idempotency: IdempotencyStore
  readonly limits: LimitStore
  readonly jobTypes: ReadonlyMap<string, JobType>
  readonly secretKey: Uint8Array
  /** Runs something again and again, ms apart; returns how to stop. */
  readonly every: (ms: number, run: () => void) => () => void
  /** Resolves when requests can be served. @throws DomainError `unavailable` */
  readonly checkReady: () => Promise<void>
  readonly checkUrl: (url: string) => UrlVerdict
}

/** Nest's token for the runtime: the only thing that is injected. */
export const RUNTIME = 'weir-runtime'
