import { randomUUID } from 'node:crypto'
import type { RecordedEvent } from '../../domain/envelope.ts'

/** Events as a log gives them, spread over some streams, with growing positions. */
export function recordedEvents(count: number, streams: number, first = 1): RecordedEvent[] {
  const run = randomUUID()
  return Array.from({ length: count }, (_, at) => ({
    id: randomUUID(),
    stream: `job-${run}-${at % streams}`,
    revision: Math.floor(at / streams),
    position: String(first + at),
    type: 'Counted',
    data: { at },
    meta: {
      ...{ orgId: `org-${at % streams}`, actor: 'key:k', correlationId: run, causationId: run },
      ...{ traceparent: null, at: '2026-01-01T00:00:00.000Z', schema: 1 },
    },
    recordedAt: '2026-01-01T00:00:00.000Z',
  }))
}
