import type { Account } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import type { Decider } from '../../domain/decider.ts'
import type { JobCommand, JobState } from '../../domain/job/job.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { EventStore } from '../../domain/ports/event-store.ts'
import type { IdempotencyStore } from '../../domain/ports/idempotency-store.ts'
import type { Ids } from '../../domain/ports/ids.ts'
import type { LeaseStore } from '../../domain/ports/lease-store.ts'
import type { ReadModelStore } from '../../domain/ports/read-model-store.ts'
import type { WebhookTransport } from '../../domain/ports/webhook-transport.ts'
import type { MemoryEventLog } from '../../infra/memory/event-log.ts'

export type JobDecider = Decider<JobState, JobCommand, JobEvent>
export type AccountDecider = Decider<Account, AccountCommand, AccountEvent>

/** What the simulator runs, each part replaceable by one that is wrong. */
export type Mutation = {
  readonly jobs?: (decider: JobDecider) => JobDecider
  readonly accounts?: (decider: AccountDecider) => AccountDecider
  readonly events?: (store: EventStore, log: MemoryEventLog) => EventStore
  readonly leases?: (leases: LeaseStore) => LeaseStore
  /** What the projector writes to. */
  readonly rows?: (store: ReadModelStore) => ReadModelStore
  /** What settlement reads. */
  readonly settlementFeed?: (feed: EventFeed) => EventFeed
  readonly idempotency?: (store: IdempotencyStore) => IdempotencyStore
  readonly transport?: (transport: WebhookTransport) => WebhookTransport
  readonly ids?: (ids: Ids) => Ids
}
