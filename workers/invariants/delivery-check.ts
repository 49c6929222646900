import { isKnownEvent, publicEventTypes } from '../../domain/catalog.ts'
import type { Recorded } from '../../domain/catalog.ts'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { DeliveryState, DeliveryStore } from '../../domain/ports/delivery-store.ts'
import { defaultWebhookEvents } from '../../domain/webhook/event-types.ts'
import type { Found } from './violation.ts'

/** A delivery that is due for longer, and that nobody holds, is neither sent nor parked, ms. */
const overdueMs = 60_000
const pageMax = 1_000

/**
 * I7: every transition that somebody asked to hear of has a delivery, and none is forgotten. Who
 * asked is followed in the log, by rules of its own.
 */
export class DeliveryCheck {
  readonly #found: Found
  /** What each job's own webhook asked for. */
  readonly #jobs = new Map<string, readonly string[]>()
  /** What the endpoints of each org asked for. */
  readonly #endpoints = new Map<string, Map<string, readonly string[]>>()
  readonly #due = new Set<string>()
  readonly #keptSinceMs: number

  /** @param keptSinceMs deliveries of what happened before may have been forgotten */
  constructor(found: Found, keptSinceMs: number) {
    this.#found = found
    this.#keptSinceMs = keptSinceMs
  }

  get orgIds(): readonly string[] {
    return [...this.#endpoints.keys()]
  }

  /** Of the log, as far as deliveries have been made of it. */
  see(event: RecordedEvent): void {
    if (!isKnownEvent(event)) return
    const { orgId } = event.meta
    const endpoints = this.#endpoints.get(orgId) ?? new Map<string, readonly string[]>()
    this.#endpoints.set(orgId, endpoints)
    if (event.type === 'WebhookEndpointRegistered' || event.type === 'WebhookEndpointEnabled') {
      endpoints.set(event.data.endpointId, event.data.events ?? defaultWebhookEvents)
    } else if (
      event.type === 'WebhookEndpointRemoved' ||
      event.type === 'WebhookEndpointDisabled'
    ) {
      endpoints.delete(event.data.endpointId)
    } else if (event.type === 'JobSubmitted' && event.data.webhook) {
      this.#jobs.set(event.stream, event.data.webhook.events ?? defaultWebhookEvents)
    }
    this.#expect(event, endpoints)
  }

  /** There is a delivery with this id. */
  made(deliveryId: string): void {
    this.#due.delete(deliveryId)
  }

  /** After all deliveries. */
  end(): void {
    for (const deliveryId of this.#due) this.#found('I7', deliveryId, 'no delivery was made of it')
  }

  /** Looks for deliveries that wait for nobody. Only where a sender runs. */
  async lookForForgotten(deliveries: DeliveryStore, nowMs: number): Promise<void> {
    for (const orgId of this.orgIds) {
      for await (const { deliveryId, nextAttemptAtMs, lockedUntilMs } of pending(
        deliveries,
        orgId,
      )) {
        const overMs = nowMs - Math.max(nextAttemptAtMs, lockedUntilMs ?? 0)
        if (overMs < overdueMs) continue
        this.#found('I7', deliveryId, `it is due for ${Math.round(overMs / 1_000)} s`)
      }
    }
  }

  #expect(event: Recorded, endpoints: ReadonlyMap<string, readonly string[]>): void {
    if (!isTold(event) || Date.parse(event.meta.at) < this.#keptSinceMs) return
    const type: string = publicEventTypes[event.type]
    if (this.#jobs.get(event.stream)?.includes(type)) this.#due.add(event.id)
    for (const [endpointId, events] of endpoints) {
      if (events.includes(type)) this.#due.add(`${event.id}.${endpointId}`)
    }
  }
}

type Told = Recorded & { readonly type: keyof typeof publicEventTypes }

function isTold(event: Recorded): event is Told {
  return Object.hasOwn(publicEventTypes, event.type)
}

async function* pending(
  deliveries: DeliveryStore,
  orgId: string,
): AsyncGenerator<DeliveryState, void> {
  for (let after: DeliveryState | null = null; ;) {
    const query = { orgId, status: 'pending' as const, after, limit: pageMax }
    const page: readonly DeliveryState[] = await deliveries.list(query)
    yield* page
    after = page.at(-1) ?? null
    if (page.length < pageMax) return
  }
}
