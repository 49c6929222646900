import type { NewEvent, RecordedEvent } from '../../domain/envelope.ts'
import { EventStore } from '../../domain/ports/event-store.ts'
import type { Span, StartSpan } from './telemetry.ts'

/** Traces that share one append and are told of; the others of a batch are not. */
const tracesMax = 50

/**
 * Shows each append in the traces of the events that it carries, also when commands of many traces
 * share it. A settlement is shown by its name.
 */
export class TracedEventStore extends EventStore {
  readonly #store: EventStore
  readonly #startSpan: StartSpan

  constructor(store: EventStore, startSpan: StartSpan) {
    super()
    this.#store = store
    this.#startSpan = startSpan
  }

  override async append(
    stream: string,
    expectedRevision: number,
    events: readonly NewEvent[],
  ): Promise<number> {
    const spans = this.#begin(stream, events)
    try {
      const revision = await this.#store.append(stream, expectedRevision, events)
      for (const span of spans) span.end(null)
      return revision
    } catch (error) {
      for (const span of spans) span.end(error instanceof Error ? error.name : 'unknown')
      throw error
    }
  }

  override read(stream: string, fromRevision: number): Promise<readonly RecordedEvent[]> {
    return this.#store.read(stream, fromRevision)
  }

  override recent(stream: string, fromRevision: number): readonly RecordedEvent[] | null {
    return this.#store.recent(stream, fromRevision)
  }

  /** Spans to end in this order: children first. */
  #begin(stream: string, events: readonly NewEvent[]): Span[] {
    const traces = new Map<string, NewEvent[]>()
    for (const event of events) {
      const { traceparent } = event.meta
      if (traceparent === null || (traces.size >= tracesMax && !traces.has(traceparent))) continue
      traces.set(traceparent, [...(traces.get(traceparent) ?? []), event])
    }
    return [...traces].flatMap(([traceparent, own]) => {
      const types = own.map(({ type }) => type)
      const attributes = { 'weir.stream': stream, 'weir.events': types.join(' ') }
      const isSettlement = types.includes('HoldSettled')
      const settle = isSettlement
        ? this.#startSpan('settle', { kind: 'internal', traceparent, attributes })
        : null
      const parent = settle?.traceparent ?? traceparent
      const append = { kind: 'client', traceparent: parent, attributes } as const
      return [this.#startSpan('append', append), ...(settle ? [settle] : [])]
    })
  }
}
