import { parseUUID } from '@eventstore/db-client/dist/utils/grpcUUID.js'
import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import type { EventMeta, RecordedEvent } from '../../domain/envelope.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { decodeEvent, type EventText } from '../event-text.ts'

/** What stream reads of servers before 22.6 have in place of a position. */
export const noPosition = String(2n ** 64n - 1n)
const carriedKey = 'weirRecordedMs'
/** The server counts time in units of 100 ns. */
const ticksPerMs = 10_000n

/**
 * An event of the server as weir's own; null when weir did not write it: other programs may use
 * the same server, and what they write has other metadata or none.
 */
export function ourEvent(
  recorded: ReadResp.ReadEvent.RecordedEvent,
  streamPrefix: string,
): RecordedEvent | null {
  const metadata = recorded.getMetadataMap()
  const meta = utf8(recorded.getCustomMetadata_asU8())
  const isJson = metadata.get('content-type') === 'application/json'
  if (!isJson || !meta.includes('"orgId":')) return null
  const stream = utf8(recorded.getStreamIdentifier()?.getStreamName_asU8())
  try {
    const event = decodeEvent({
      id: parseUUID(recorded.getId()) ?? '',
      stream: stream.slice(streamPrefix.length),
      revision: Number(recorded.getStreamRevision()),
      position: recorded.getCommitPosition(),
      type: metadata.get('type') ?? '',
      data: utf8(recorded.getData_asU8()),
      meta,
      // There are too many ticks for a number.
      recordedMs: Number(BigInt(metadata.get('created') ?? 0) / ticksPerMs),
    })
    return isEnvelope(event.meta) ? inItsTime(event) : null
  } catch {
    return null
  }
}

/**
 * The metadata as the server gets it. The time of an event out of another log is hidden in it: the
 * server's own cannot be set.
 */
export function metaText({ meta, carriedMs }: EventText): string {
  return carriedMs === null ? meta : `{"${carriedKey}":${carriedMs},${meta.slice(1)}`
}

function inItsTime(event: RecordedEvent): RecordedEvent {
  if (!(carriedKey in event.meta)) return event
  const { [carriedKey]: ms, ...meta } = event.meta as EventMeta & { [carriedKey]: number }
  return { ...event, meta, recordedAt: isoTime(ms) }
}

function isEnvelope({ orgId, actor, at, schema }: Partial<EventMeta>): boolean {
  const texts: readonly unknown[] = [orgId, actor, at]
  return texts.every((text) => typeof text === 'string') && typeof schema === 'number'
}

function utf8(bytes: Uint8Array | undefined): string {
  if (!bytes) return ''
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
