import type { Consumer, EachBatchPayload, PartitionAssigner } from 'kafkajs'
import { untilAborted } from '../../domain/until-aborted.ts'
import type { KafkaConnection } from './connection.ts'
import { disconnect, goodbyeMs } from './disconnect.ts'
import type { TopicPlan } from './settings.ts'

// kafkajs' consumers die silently, or turn in circles: a crash ends them, and so does it when
// nothing was heard of the group for a while. Then a new one begins, for as long as this is not
// stopped.
//
//   begin ──▶ join ──▶ fetch ──┬── crash ──────▶ disconnect ──▶ pause ──▶ begin
//               ▲        │     └── no progress ─▶
//               └────────┘ rebalance

const sessionTimeoutMs = 10_000
const rebalanceTimeoutMs = 15_000
const heartbeatMs = 1_000
/**
 * Longest wait of the broker for records, ms: as late is a `seek` or a `resume`. Each answer costs
 * CPU here and there, also when there is nothing.
 */
const fetchWaitMs = 500
/** New partitions are found so late. */
const metadataMs = 30_000
/** Neither a heartbeat nor records for so long: this consumer will not come back by itself. */
const stalledMs = 30_000
const watchEveryMs = 1_000
const backoffMsMin = 200
const backoffMsMax = 5_000

/** The partitions of each topic that are this consumer's. */
export type Assignment = Readonly<Record<string, readonly number[]>>

export type Batch = EachBatchPayload['batch']

export type SupervisedConsumerOptions = {
  readonly connection: KafkaConnection
  /** Names it in metrics and logs. */
  readonly name: string
  readonly groupId: string
  readonly topics: readonly TopicPlan[]
  readonly assigner?: PartitionAssigner
  /** Before each consumer joins the group, with those of the topics that are there. */
  readonly opening?: (topics: readonly TopicPlan[]) => Promise<void>
  /** After every rebalance, before anything is fetched: the place for `seek` and `pause`. */
  readonly joined: (assignment: Assignment) => void
  /** Takes records without delay: long work in here would cost the membership of the group. */
  readonly received: (batch: Batch) => void
}

/** A member of a group that is always there again. Offsets are committed by hand. */
export class SupervisedConsumer {
  readonly #options: SupervisedConsumerOptions
  readonly #stopping = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  #consumer: Consumer | null = null
  /** Since something was heard of the group. Counted by timers: clocks are set back. */
  #quietMs = 0
  #goodbyeMs = goodbyeMs
  #unwatch = (): void => undefined

  constructor(options: SupervisedConsumerOptions) {
    this.#options = options
  }

  get consumer(): string {
    return this.#options.name
  }

  /** When something was heard of the group the last time, ms since the epoch. */
  get progressAtMs(): number {
    return this.#options.connection.clock.now() - this.#quietMs
  }

  start(): void {
    this.#unwatch = this.#options.connection.watch(this)
    this.#running = Promise.all([this.#run(), this.#countQuiet()])
  }

  /** Leaves the group; when that takes longer than the limit, without a word. */
  async stop(limitMs = goodbyeMs): Promise<void> {
    this.#goodbyeMs = limitMs
    this.#stopping.abort()
    await this.#running
    this.#unwatch()
  }

  /** Goes on at that offset, and fetches. Does nothing without a connection: `joined` comes. */
  seek(topic: string, partition: number, offset: number): void {
    this.#tell((consumer) => {
      consumer.seek({ topic, partition, offset: String(offset) })
      consumer.resume([{ topic, partitions: [partition] }])
    })
  }

  pause(topic: string, partition: number): void {
    this.#tell((consumer) => consumer.pause([{ topic, partitions: [partition] }]))
  }

  resume(topic: string, partition: number): void {
    this.#tell((consumer) => consumer.resume([{ topic, partitions: [partition] }]))
  }

  /** @throws when the group is rebalancing, or away: what was not committed is read again */
  async commit(topic: string, offsets: readonly CommittedOffset[]): Promise<void> {
    const commits = offsets.map(({ partition, offset, metadata }) => ({
      ...{ topic, partition, offset: String(offset), metadata },
    }))
    await this.#consumer?.commitOffsets(commits)
  }

  #tell(order: (consumer: Consumer) => void): void {
    try {
      if (this.#consumer) order(this.#consumer)
    } catch {
      // kafkajs refuses while it is between two lives; `joined` puts everything right.
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#options.connection
    const { signal } = this.#stopping
    let backoffMs = backoffMsMin
    while (!signal.aborted) {
      const hasJoined = await this.#live()
      backoffMs = hasJoined ? backoffMsMin : Math.min(backoffMs * 2, backoffMsMax)
      await clock.sleep(backoffMs, signal)
    }
  }

  /** One consumer from its beginning to its end; false when it never joined. */
  async #live(): Promise<boolean> {
    const { connection, name } = this.#options
    const ended = new AbortController()
    const consumer = this.#newConsumer()
    let hasJoined = false
    const unlisten = this.#listen(consumer, ended, () => (hasJoined = true))
    const beginning = this.#begin(consumer)
    let joining: Promise<unknown> = beginning.catch(() => undefined)
    try {
      // kafkajs tries for long to reach a broker, and knows of no end before.
      const topicsThere = await untilAborted(beginning, this.#stopping.signal)
      if (topicsThere !== null) {
        this.#consumer = consumer
        this.#moved()
        joining = this.#consume(consumer).catch(() => ended.abort())
        await this.#untilEnded(ended.signal, topicsThere)
      }
    } catch (error) {
      connection.report('warn', { err: error, loop: name }, 'Kafka consumer could not begin')
    }
    this.#consumer = null
    connection.forgetTopics()
    // Told to end while it joins for the first time, kafkajs would only close its connections: the
    // member stays until the broker gives it up, or connects again and is one for ever.
    await disconnect(
      { disconnect: () => joining.then(() => consumer.disconnect()) },
      connection.clock,
      this.#goodbyeMs,
    )
    unlisten()
    return hasJoined
  }

  /** Returns how many topics are there. */
  async #begin(consumer: Consumer): Promise<number> {
    const { connection, opening, topics } = this.#options
    const { signal } = this.#stopping
    const there = await connection.availableTopics(topics)
    if (there.length === 0) throw new Error('there is none of its topics')
    signal.throwIfAborted()
    await opening?.(there)
    signal.throwIfAborted()
    await consumer.connect()
    await consumer.subscribe({ topics: there.map(({ topic }) => topic), fromBeginning: true })
    return there.length
  }

  #newConsumer(): Consumer {
    const { connection, groupId, assigner } = this.#options
    return connection.newClient().consumer({
      groupId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      heartbeatInterval: heartbeatMs,
      maxWaitTimeInMs: fetchWaitMs,
      metadataMaxAge: metadataMs,
      allowAutoTopicCreation: false,
      // Restarting is done here.
      retry: { retries: 3, restartOnFailure: () => Promise.resolve(false) },
      ...(assigner ? { partitionAssigners: [assigner] } : {}),
    })
  }

  #listen(consumer: Consumer, ended: AbortController, joined: () => void): () => void {
    const { connection, name } = this.#options
    const moved = (): void => this.#moved()
    const removers = [
      consumer.on('consumer.heartbeat', moved),
      consumer.on('consumer.end_batch_process', moved),
      consumer.on('consumer.group_join', ({ payload }) => {
        if (this.#consumer !== consumer) return
        joined()
        moved()
        this.#options.joined(payload.memberAssignment)
      }),
      consumer.on('consumer.crash', ({ payload }) => {
        connection.report('warn', { err: payload.error, loop: name }, 'Kafka consumer crashed')
        ended.abort()
      }),
    ]
    return () => removers.forEach((remove) => remove())
  }

  async #consume(consumer: Consumer): Promise<void> {
    await consumer.run({
      autoCommit: false,
      eachBatch: async (payload) => {
        const isMeant = this.#consumer === consumer && !payload.isStale()
        if (isMeant) this.#options.received(payload.batch)
      },
    })
  }

  async #untilEnded(ended: AbortSignal, topicsThere: number): Promise<void> {
    const { connection, name, topics } = this.#options
    const { clock, report } = connection
    const signal = AbortSignal.any([ended, this.#stopping.signal])
    while (!signal.aborted) {
      await clock.sleep(watchEveryMs, signal)
      // A consumer takes all of its topics when it begins.
      if (topicsThere < topics.length && (await this.#countTopics(signal)) > topicsThere) return
      if (this.#quietMs < stalledMs) continue
      report('warn', { loop: name }, 'Kafka consumer stands still: it is replaced')
      return
    }
  }

  /** Topics that are there; those that were missing are looked for from time to time. */
  async #countTopics(signal: AbortSignal): Promise<number> {
    const { connection, topics } = this.#options
    const looking = connection.availableTopics(topics).catch(() => [])
    return (await untilAborted(looking, signal))?.length ?? 0
  }

  async #countQuiet(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#options.connection.clock.sleep(watchEveryMs, signal)
      this.#quietMs += watchEveryMs
    }
  }

  #moved(): void {
    this.#quietMs = 0
  }
}

export type CommittedOffset = {
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}
