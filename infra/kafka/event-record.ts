import type { KafkaMessage, Message } from 'kafkajs'
import type { RecordedEvent } from '../../domain/envelope.ts'
import { keyOf } from './partition-of.ts'

/** What a record of the events' topic holds. */
export type EventRecord = {
  readonly event: RecordedEvent
  /** Position of the event before this one in its partition; null for the first of all. */
  readonly previous: string | null
  /** How many partitions the log was divided into. */
  readonly partitions: number
}

/** The record cannot be read: its reason stands in the dead-letter topic. */
export class UndecodableRecord extends Error {
  override readonly name = 'UndecodableRecord'
}

const previousHeader = 'weir-previous'
const partitionsHeader = 'weir-partitions'

/** The value is the event as it is recorded, and its trace is where others look for it. */
export function encodeEventRecord({ event, previous, partitions }: EventRecord) {
  const { traceparent } = event.meta
  const value = Buffer.from(JSON.stringify(event))
  return {
    key: keyOf(event),
    value,
    headers: {
      [previousHeader]: previous ?? '',
      [partitionsHeader]: String(partitions),
      ...(traceparent === null ? {} : { traceparent }),
    },
  } satisfies Message
}

/** @throws UndecodableRecord */
export function decodeEventRecord({ value, headers }: KafkaMessage): EventRecord {
  const previous = headers?.[previousHeader]?.toString()
  const partitions = Number(headers?.[partitionsHeader]?.toString())
  if (previous === undefined || !Number.isInteger(partitions)) {
    throw new UndecodableRecord('it has not the headers of a relay')
  }
  const event = parsed(value)
  if (!isRecordedEvent(event)) throw new UndecodableRecord('it is no event')
  return { event, previous: previous === '' ? null : previous, partitions }
}

function parsed(value: Buffer | null): unknown {
  try {
    return JSON.parse(value?.toString() ?? '')
  } catch {
    throw new UndecodableRecord('it is no JSON')
  }
}

const textFields = ['id', 'stream', 'position', 'type', 'recordedAt'] as const

function isRecordedEvent(value: unknown): value is RecordedEvent {
  if (!isObject(value)) return false
  return (
    textFields.every((field) => typeof value[field] === 'string') &&
    Number.isInteger(value['revision']) &&
    isObject(value['data']) &&
    isObject(value['meta'])
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
