import type { Pipelines } from '../../domain/aggregates.ts'
import type { Announcements, Announcer } from '../../domain/ports/announcements.ts'
import type { PipelineObserver } from '../../domain/pipeline/command-pipeline.ts'
import type { Clock } from '../../domain/ports/clock.ts'
import type { DeliveryStore } from '../../domain/ports/delivery-store.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { FeedPartitions } from '../../domain/ports/feed-partitions.ts'
import type { EventStore } from '../../domain/ports/event-store.ts'
import type { HoldWatch } from '../../domain/ports/hold-watch.ts'
import type { IdempotencyStore } from '../../domain/ports/idempotency-store.ts'
import type { Ids } from '../../domain/ports/ids.ts'
import type { LeaseStore } from '../../domain/ports/lease-store.ts'
import type { LimitStore } from '../../domain/ports/limit-store.ts'
import type { ObjectStore } from '../../domain/ports/object-store.ts'
import type { ReadModelStore } from '../../domain/ports/read-model-store.ts'
import type { Signals } from '../../domain/ports/signals.ts'
import type { WebhookTransport } from '../../domain/ports/webhook-transport.ts'
import type { Loop, LoopReport } from '../../workers/loop.ts'
import type { RelayLag } from '../../workers/relay.ts'
import type { Download } from '../../workers/open-input.ts'
import type { Config } from '../config.ts'
import type { ServedObjectStore } from '../http/objects.ts'
import type { Sql } from '../queries/sql.ts'
import type { UrlVerdict } from '../runtime.ts'

/** The adapters of one process. Roles take from it what they need and never ask which it is. */
export type Profile = {
  readonly config: Config
  readonly clock: Clock
  readonly ids: Ids
  readonly secretKey: Uint8Array
  readonly store: EventStore
  readonly pipelines: Pipelines
  /** The whole log in its order. A feed is for one reader. */
  readonly newFeed: () => EventFeed
  /** The log, divided by orgs among the processes that follow it. */
  readonly partitions: FeedPartitions
  /** Loops of a projector that carry the log to where it is followed. */
  readonly carriers: () => readonly Loop[]
  /** Drops what they have carried there of another log, which a new database must not follow. */
  readonly forgetCarried: () => Promise<void>
  /** Makes them begin behind a place at which everybody stands who follows the log. */
  readonly carryFrom: (position: string) => Promise<void>
  /** How they get on; null where nothing carries the log. */
  readonly carriage: (() => Promise<Carriage>) | null
  /** The last event that was carried in each share of the log; none where nothing carries it. */
  readonly lastCarried: () => Promise<ReadonlyMap<string, LastCarried>>
  /** False when the log ends before what was carried of it: it was restored from a backup. */
  readonly isLogWhole: () => Promise<boolean>
  readonly objects: ObjectStore
  readonly servedObjects: ServedObjectStore | null
  readonly sql: Sql
  readonly signals: Signals
  readonly announcer: Announcer
  readonly announcements: Announcements
  readonly leases: LeaseStore
  readonly limits: LimitStore
  readonly holds: HoldWatch
  readonly readModels: ReadModelStore
  readonly deliveries: DeliveryStore
  readonly idempotency: IdempotencyStore
  readonly transport: WebhookTransport
  readonly checkUrl: (url: string) => UrlVerdict
  readonly download: Download
  /** Makes what has to be there before anything is stored; the same every time. */
  readonly prepare: () => Promise<void>
  /** Removes what killed processes left in the object store. */
  readonly sweepObjects: () => Promise<void>
  readonly close: () => Promise<void>
}

/** How the log gets from the event store to those who follow it. */
export type Carriage = {
  readonly relayLag: RelayLag
  /** What this process consumes, and when it moved on last. */
  readonly consumers: readonly { readonly consumer: string; readonly progressAtMs: number }[]
  /** Records that could not be read, since this process began. */
  readonly deadLetters: number
}

/** An event that was carried. */
export type LastCarried = {
  readonly position: string
  /** When the log took it; null when nobody remembers. */
  readonly at: string | null
}

/** Sees what the adapters of a process do. */
export type ProfileWatch = {
  readonly observer: PipelineObserver
  readonly wrapStore: (store: EventStore) => EventStore
  readonly report: LoopReport
}

/** For a process that shows nothing of it. */
export const unwatched: ProfileWatch = {
  observer: { appended: () => undefined, conflicted: () => undefined },
  wrapStore: (store) => store,
  report: () => undefined,
}
