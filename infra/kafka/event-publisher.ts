import type { Message, Producer } from 'kafkajs'
import type { RecordedEvent } from '../../domain/envelope.ts'
import { EventPublisher, type Publication } from '../../domain/ports/event-publisher.ts'
import type { KafkaConnection } from './connection.ts'
import { disconnect } from './disconnect.ts'
import { encodeEventRecord } from './event-record.ts'
import { shareName } from './feed-partitions.ts'
import { chosenPartition, keyOf, partitionOf } from './partition-of.ts'

/** kafkajs makes one batch per partition and send, and brokers take a megabyte by default. */
const batchBytesMax = 900_000
/** Of all partitions together. */
const sendBytesMax = 8_000_000
/** What a record weighs beside its value: key, headers, lengths. */
const recordBytes = 300
const ackTimeoutMs = 15_000

/** The last event in a partition. */
type Last = {
  /** Its position; null when there is none. */
  readonly last: string | null
  /** When the log took it; null when there is none, absent in marks that know of no times. */
  readonly lastAt?: string | null
}

/** Where a partition ended after a send. */
type PartitionEnd = Last & {
  /** Offset of the next record, were there no other relay. */
  readonly end: number
}

/** What a mark says, as JSON. */
type Mark = { readonly cluster: string; readonly ends: readonly PartitionEnd[] }

const nothing: PartitionEnd = { end: 0, last: null, lastAt: null }

/** A part of the events that brokers take in one send, and the last event of each partition. */
type Send = { readonly messages: Message[]; readonly lasts: readonly Last[] }

/** Publishes to the events' topic, keyed by org. */
export class KafkaEventPublisher extends EventPublisher {
  readonly #connection: KafkaConnection

  constructor(connection: KafkaConnection) {
    super()
    this.#connection = connection
  }

  override async open(): Promise<Publication> {
    const connection = this.#connection
    const { events } = connection.topics
    connection.forgetTopics()
    await connection.ensureTopics([events])
    const cluster = await connection.clusterId()
    const partitions = await connection.eventsPartitions()
    const producer = connection.newClient().producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: () => chosenPartition,
      // The least that kafkajs allows. After a second failure it may use a sequence number twice.
      retry: { retries: 1 },
    })
    await producer.connect()
    return new KafkaPublication(connection, producer, { cluster, partitions })
  }
}

type Place = { readonly cluster: string; readonly partitions: number }

class KafkaPublication implements Publication {
  readonly #connection: KafkaConnection
  readonly #producer: Producer
  readonly #place: Place

  constructor(connection: KafkaConnection, producer: Producer, place: Place) {
    this.#connection = connection
    this.#producer = producer
    this.#place = place
  }

  readonly holds = async (mark: string): Promise<boolean> => {
    const { cluster, ends } = parseMark(mark)
    if (cluster !== (await this.#connection.clusterId())) return false
    const ranges = await this.#connection.ranges(this.#connection.topics.events)
    if (ranges.length !== ends.length) return false
    return ranges.every(({ high }, partition) => high >= (ends[partition]?.end ?? 0))
  }

  readonly resume = async (mark: string): Promise<string | null> => {
    const { cluster, partitions } = this.#place
    const { ends } = parseMark(mark)
    if (cluster !== (await this.#connection.clusterId())) throw new Error('Kafka was replaced')
    const ranges = await this.#connection.ranges(this.#connection.topics.events)
    if (ends.length !== partitions || ranges.length !== partitions) return null
    const endsNow = ranges.map(({ high }, at) => ({ ...nothing, ...ends[at], end: high }))
    return JSON.stringify({ cluster, ends: endsNow } satisfies Mark)
  }

  readonly publish = async (
    events: readonly RecordedEvent[],
    after: string | null,
  ): Promise<string> => {
    const { cluster } = this.#place
    let ends = this.#endsAfter(after)
    for (const send of this.#sends(events, ends)) ends = await this.#send(send, ends)
    return JSON.stringify({ cluster, ends } satisfies Mark)
  }

  readonly close = async (): Promise<void> => {
    await disconnect(this.#producer, this.#connection.clock)
  }

  /** @throws Error when the mark speaks of other partitions than these */
  #endsAfter(mark: string | null): readonly PartitionEnd[] {
    const { partitions } = this.#place
    if (mark === null) return Array.from({ length: partitions }, () => nothing)
    const { ends } = parseMark(mark)
    if (ends.length !== partitions) throw new Error('the topic was divided anew')
    return ends
  }

  *#sends(events: readonly RecordedEvent[], from: readonly PartitionEnd[]): Iterable<Send> {
    const { partitions } = this.#place
    const lasts: Last[] = [...from]
    let messages: Message[] = []
    let bytes = new Array<number>(partitions).fill(0)
    let total = 0
    for (const event of events) {
      const partition = partitionOf(keyOf(event), partitions)
      const record = encodeEventRecord({
        event,
        previous: lasts[partition]?.last ?? null,
        partitions,
      })
      const size = record.value.length + recordBytes
      const isFull = (bytes[partition] ?? 0) + size > batchBytesMax || total + size > sendBytesMax
      if (isFull && messages.length > 0) {
        yield { messages, lasts: [...lasts] }
        messages = []
        bytes = new Array<number>(partitions).fill(0)
        total = 0
      }
      messages.push({ ...record, partition })
      lasts[partition] = { last: event.position, lastAt: event.recordedAt }
      bytes[partition] = (bytes[partition] ?? 0) + size
      total += size
    }
    if (messages.length > 0) yield { messages, lasts: [...lasts] }
  }

  /** Where the partitions then really end: another relay may have written in between. */
  async #send(
    { messages, lasts }: Send,
    before: readonly PartitionEnd[],
  ): Promise<readonly PartitionEnd[]> {
    const { topic } = this.#connection.topics.events
    const answers = await this.#producer.sendBatch({
      topicMessages: [{ topic, messages }],
      acks: -1,
      timeout: ackTimeoutMs,
    })
    const bases = new Map(answers.map(({ partition, baseOffset }) => [partition, baseOffset]))
    const ends = [...before]
    for (const [partition, count] of countByPartition(messages)) {
      const base = Number(bases.get(partition))
      // When a partition's leader moves during a send to several brokers, kafkajs may leave it out
      // and resolve: its second try asks no broker that has answered before.
      if (Number.isNaN(base)) throw new Error(`no broker has confirmed partition ${partition}`)
      if (!(base >= (before[partition]?.end ?? 0))) throw new Error('the topic was replaced')
      ends[partition] = { ...nothing, ...lasts[partition], end: base + count }
    }
    return ends
  }
}

function countByPartition(messages: readonly Message[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>()
  for (const { partition = 0 } of messages) counts.set(partition, (counts.get(partition) ?? 0) + 1)
  return counts
}

/** The last event of each share that was published up to a mark, by the shares' names. */
export function lastPublished(mark: string | null) {
  const { ends } = mark === null ? { ends: [] } : parseMark(mark)
  return new Map(
    ends.flatMap(({ last, lastAt = null }, partition) =>
      last === null ? [] : [[shareName(partition, ends.length), { position: last, at: lastAt }]],
    ),
  )
}

function parseMark(mark: string): Mark {
  return JSON.parse(mark) as Mark
}
