import type { RecordedEvent } from '../../domain/envelope.ts'
import type { DeliveryStore } from '../../domain/ports/delivery-store.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { keyOf } from '../../domain/ports/read-model-store.ts'
import type {
  ReadModelSnapshot,
  ReadModelStore,
  Stands,
} from '../../domain/ports/read-model-store.ts'
import type { Projection } from '../../projections/projection.ts'
import { ledgerHeads } from '../audit/ledger-heads.ts'
import { rowsOf } from '../rows-of.ts'
import type { ChainClaim } from './chain-check.ts'
import { DeliveryCheck } from './delivery-check.ts'
import { TenantCheck, tenantTables } from './tenant-check.ts'
import type { Found } from './violation.ts'

const outboxName = 'webhook_outbox'

export type CheckedReadModels = {
  readonly store: ReadModelStore
  readonly projections: readonly Projection[]
  /** The share of the log that an event is in, by the name under which checkpoints are kept. */
  readonly shareOf: (event: RecordedEvent) => string
  readonly deliveries: DeliveryStore
  readonly nowMs: number
  /** Whether somebody sends webhooks: if not, those that are due wait rightly. */
  readonly isSending: boolean
}

/** What the read models say, held against the log, at one moment. */
export class ReadModelCheck {
  readonly #options: CheckedReadModels
  readonly #live: ReadModelSnapshot
  readonly #tenants: TenantCheck
  readonly #deliveries: DeliveryCheck
  readonly #compare: EventFeed['compare']
  /** Up to where deliveries were made, by shares of the log. */
  #delivered: Stands = new Map()
  rows = 0

  constructor(
    options: CheckedReadModels,
    live: ReadModelSnapshot,
    compare: EventFeed['compare'],
    found: Found,
  ) {
    this.#options = options
    this.#live = live
    this.#compare = compare
    this.#tenants = new TenantCheck(found)
    this.#deliveries = new DeliveryCheck(found)
  }

  /** Before the first event. Returns where `ledger_head` says that the chains stand. */
  async begin(): Promise<readonly ChainClaim[]> {
    const { projections } = this.#options
    const outbox = projections.find(({ tables }) => tables.some(({ name }) => name === outboxName))
    if (outbox) this.#delivered = await this.#live.stands(outbox.name, outbox.version)
    return (await ledgerHeads(this.#live, projections)).map((head) => ({
      ...head,
      by: 'ledger_head',
    }))
  }

  see(event: RecordedEvent): void {
    this.#tenants.see(event)
    const stand = this.#delivered.get(this.#options.shareOf(event)) ?? this.#delivered.get('')
    const isDelivered = stand !== undefined && this.#compare(event.position, stand) <= 0
    if (isDelivered) this.#deliveries.see(event)
  }

  /** After the last event. */
  async end(): Promise<void> {
    const { projections, deliveries, nowMs, isSending } = this.#options
    for (const table of tenantTables(projections.flatMap(({ tables }) => tables))) {
      const isOutbox = table.name === outboxName
      for await (const row of rowsOf(this.#live, table)) {
        this.rows += 1
        this.#tenants.seeRow(table, row)
        if (isOutbox) this.#deliveries.made(keyOf(table, row))
      }
    }
    this.#deliveries.end()
    if (isSending) await this.#deliveries.lookForForgotten(deliveries, nowMs)
  }
}
