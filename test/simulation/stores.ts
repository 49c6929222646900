import type {
  CheckpointMove,
  Generation,
  TableChange,
} from '../../domain/ports/read-model-store.ts'
import { MemoryBus } from '../../infra/memory/bus.ts'
import type { MemoryDeliveryStore } from '../../infra/memory/delivery-store.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import type { WebhookOutboxRow } from '../../projections/webhook-outbox.ts'
import { webhookOutboxTable } from '../../projections/webhook-outbox.ts'
import type { Faults } from './faults.ts'
import type { Scheduler } from './scheduler.ts'

/** Loses, doubles and delays what it carries. */
export class LossyBus extends MemoryBus {
  readonly #scheduler: Scheduler
  readonly #faults: Faults

  constructor(scheduler: Scheduler, faults: Faults) {
    super()
    this.#scheduler = scheduler
    this.#faults = faults
  }

  override send(channel: string, message: string): void {
    for (const delayMs of this.#faults.copiesOf()) {
      this.#scheduler.after(delayMs, `bus ${channel}`, () => super.send(channel, message))
    }
  }
}

/** Rows of the outbox are deliveries to make at once, as they are one table in a database. */
export class OutboxRows extends MemoryReadModelStore {
  readonly #deliveries: MemoryDeliveryStore

  constructor(deliveries: MemoryDeliveryStore) {
    super()
    this.#deliveries = deliveries
  }

  override async commit(
    moves: readonly CheckpointMove[],
    changes: readonly TableChange[],
    generation: Generation,
  ): Promise<void> {
    await super.commit(moves, changes, generation)
    const outbox = changes.find(({ table }) => table.name === webhookOutboxTable.name)
    const rows = (outbox?.put ?? []) as readonly WebhookOutboxRow[]
    const news = rows.map(({ nextAttemptAt, ...row }) => {
      return { ...row, nowMs: Date.parse(nextAttemptAt) }
    })
    await this.#deliveries.enqueue(news)
  }
}
