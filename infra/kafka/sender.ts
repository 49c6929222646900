import { KafkaJSError, KafkaJSProtocolError, type Message, type Producer } from 'kafkajs'
import { Batcher, type Selection } from '../batcher.ts'
import type { KafkaConnection } from './connection.ts'
import { disconnect, goodbyeMs, lastGoodbyeMs } from './disconnect.ts'
import { chosenPartition } from './partition-of.ts'
import type { TopicPlan } from './settings.ts'

/** A record for a topic of one partition. */
export type HintRecord = {
  readonly to: TopicPlan
  readonly key: string | Buffer | null
  readonly value: string | Buffer | null
  readonly headers?: Readonly<Record<string, string>>
}

type Waiting = { readonly record: HintRecord; readonly done: (isSent: boolean) => void }

const batchMax = 500
/** kafkajs makes one batch per topic and send, and brokers take a megabyte in one by default. */
const batchBytesMax = 900_000
/** What a record weighs beside its value: key, headers, lengths. */
const recordBytes = 300
/** Whoever listens reads in batches: under load one every few milliseconds is enough. */
const restMs = 2
/** Beyond it records are lost at once: Kafka has been away for long. */
const waitingMax = 10_000
const ackTimeoutMs = 5_000
const none: ReadonlySet<string> = new Set()

/**
 * Sends records that may be lost, in their order: one batch at a time. Records for a topic that is
 * not there, and cannot be made, are lost alone. A batch that cannot be sent is lost with all of
 * it, and the next one is sent over a new connection; so is the same one when a topic was deleted.
 */
export class KafkaSender {
  readonly #connection: KafkaConnection
  readonly #batcher: Batcher<Waiting>
  #producer: Producer | null = null
  #waiting = 0
  #isClosed = false

  constructor(connection: KafkaConnection) {
    this.#connection = connection
    this.#batcher = new Batcher<Waiting>({
      inFlightMax: 1,
      batchMax,
      selection: upToBytesMax,
      restMs,
      run: (batch) => this.#run(batch),
    })
  }

  /** Resolves when the record was taken by the broker, or with false when it is lost. */
  send(record: HintRecord): Promise<boolean> {
    if (this.#isClosed || this.#waiting >= waitingMax) return Promise.resolve(false)
    this.#waiting += 1
    return new Promise((done) => this.#batcher.add({ record, done }))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#drop(lastGoodbyeMs)
  }

  async #run(batch: readonly Waiting[]): Promise<void> {
    const records = batch.map(({ record }) => record)
    const sent = await this.#trySend(records).catch((error: unknown) =>
      isTopicGone(error) ? this.#trySend(records).catch(() => none) : none,
    )
    this.#waiting -= batch.length
    for (const { record, done } of batch) done(sent.has(record.to.topic))
  }

  async #trySend(records: readonly HintRecord[]): Promise<ReadonlySet<string>> {
    try {
      return await this.#send(records)
    } catch (error) {
      await this.#drop()
      throw error
    }
  }

  /** Returns the topics that were there. */
  async #send(records: readonly HintRecord[]): Promise<ReadonlySet<string>> {
    const wanted = [...new Map(records.map(({ to }) => [to.topic, to])).values()]
    const plans = await this.#connection.availableTopics(wanted)
    if (plans.length === 0) return none
    const producer = this.#producer ?? (await this.#connect())
    const topicMessages = plans.map(({ topic }) => ({
      topic,
      messages: records.filter(({ to }) => to.topic === topic).map(messageOf),
    }))
    await producer.sendBatch({ topicMessages, acks: 1, timeout: ackTimeoutMs })
    return new Set(plans.map(({ topic }) => topic))
  }

  async #connect(): Promise<Producer> {
    const producer = this.#connection.newClient().producer({
      allowAutoTopicCreation: false,
      createPartitioner: () => chosenPartition,
      retry: { retries: 1 },
    })
    this.#producer = producer
    await producer.connect()
    return producer
  }

  async #drop(limitMs = goodbyeMs): Promise<void> {
    const producer = this.#producer
    this.#producer = null
    this.#connection.forgetTopics()
    if (producer) await disconnect(producer, this.#connection.clock, limitMs)
  }
}

/** kafkajs tells it as the cause of having given up. */
function isTopicGone(error: unknown): boolean {
  const { cause = error } = error instanceof KafkaJSError ? error : {}
  return cause instanceof KafkaJSProtocolError && cause.type === 'UNKNOWN_TOPIC_OR_PARTITION'
}

/** Takes records until they are too many bytes for one batch; one that is alone goes as it is. */
function upToBytesMax(): Selection<Waiting> {
  let total = 0
  return ({ record: { value } }) => {
    const bytes = recordBytes + Buffer.byteLength(value ?? '')
    total += bytes
    return total === bytes || total <= batchBytesMax
  }
}

function messageOf({ key, value, headers }: HintRecord): Message {
  return { key, value, partition: 0, ...(headers ? { headers } : {}) }
}
