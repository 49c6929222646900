import type { NewEvent, RecordedEvent } from '../../domain/envelope.ts'
import { EventStore } from '../../domain/ports/event-store.ts'
import type {
  CheckpointMove,
  Generation,
  TableChange,
} from '../../domain/ports/read-model-store.ts'
import { decodeEvent } from '../../infra/event-text.ts'
import { MemoryBus } from '../../infra/memory/bus.ts'
import type { MemoryDeliveryStore } from '../../infra/memory/delivery-store.ts'
import type { MemoryEventLog } from '../../infra/memory/event-log.ts'
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

/** Of a stream's newest events this many were not heard of yet, in turns. */
const unheardMax = 3

/** A store whose process also hears of events by itself: late, and not always. */
export class HeardStore extends EventStore {
  readonly #store: EventStore
  readonly #log: MemoryEventLog

  constructor(store: EventStore, log: MemoryEventLog) {
    super()
    this.#store = store
    this.#log = log
  }

  override append(stream: string, expected: number, events: readonly NewEvent[]): Promise<number> {
    return this.#store.append(stream, expected, events)
  }

  override read(stream: string, fromRevision: number): Promise<readonly RecordedEvent[]> {
    return this.#store.read(stream, fromRevision)
  }

  override recent(stream: string, fromRevision: number): readonly RecordedEvent[] | null {
    const events = this.#log.streams.get(stream) ?? []
    const heard = events.length - (this.#log.events.length % (unheardMax + 1))
    return heard <= 0 ? null : events.slice(fromRevision, heard).map(decodeEvent)
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
