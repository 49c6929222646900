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
  /** How long delivered webhooks are kept; null for ever. */
  readonly deliveriesKeptMs: number | null
  readonly nowMs: number
  /** Whether somebody sends webhooks: if not, those that are due wait rightly. */
  readonly isSending: boolean
}

/** Clocks of several machines differ by less, ms. */
const skewMsMax = 3_600_000

type Standing = { readonly name: string; readonly stands: Stands; events: number }

/** What the read models say, held against the log, at one moment. */
export class ReadModelCheck {
  readonly #options: CheckedReadModels
  readonly #live: ReadModelSnapshot
  readonly #tenants: TenantCheck
  readonly #deliveries: DeliveryCheck
  readonly #compare: EventFeed['compare']
  readonly #found: Found
  /** Up to where deliveries were made, by shares of the log. */
  #delivered: Stands = new Map()
  /** Where each read model stands, and how many events of the log are beyond that. */
  readonly #behind: Standing[] = []
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
    this.#found = found
    this.#tenants = new TenantCheck(found)
    this.#deliveries = new DeliveryCheck(found, keptSinceMs(options))
  }

  /** Before the first event. Returns where `ledger_head` says that the chains stand. */
  async begin(): Promise<readonly ChainClaim[]> {
    const { projections } = this.#options
    const outbox = projections.find(({ tables }) => tables.some(({ name }) => name === outboxName))
    for (const { name, version } of projections) {
      const stands = await this.#live.stands(name, version)
      this.#behind.push({ name, stands, events: 0 })
      if (name === outbox?.name) this.#delivered = stands
    }
    return (await ledgerHeads(this.#live, projections)).map((head) => ({
      ...head,
      by: 'ledger_head',
    }))
  }

  see(event: RecordedEvent): void {
    this.#tenants.see(event)
    const share = this.#options.shareOf(event)
    if (this.#isWithin(this.#delivered, event, share)) this.#deliveries.see(event)
    for (const standing of this.#behind) {
      if (!this.#isWithin(standing.stands, event, share)) standing.events += 1
    }
  }

  #isWithin(stands: Stands, { position }: RecordedEvent, share: string): boolean {
    const stand = stands.get(share) ?? stands.get('')
    return stand !== undefined && this.#compare(position, stand) <= 0
  }

  /** After the last event. I14: once nothing is written any more, every read model is there. */
  async end(isDrained: boolean): Promise<void> {
    const { projections, deliveries, nowMs, isSending } = this.#options
    for (const { name, events } of isDrained && isSending ? this.#behind : []) {
      if (events > 0) this.#found('I14', name, `it is behind ${events} events of the log`)
    }
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

function keptSinceMs({ nowMs, deliveriesKeptMs }: CheckedReadModels): number {
  return deliveriesKeptMs === null ? -Infinity : nowMs - deliveriesKeptMs + skewMsMax
}
