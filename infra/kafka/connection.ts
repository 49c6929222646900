import { type Admin, Kafka, KafkaJSAggregateError, type KafkaConfig } from 'kafkajs'
import { logLevel, type SASLOptions } from 'kafkajs'
import { type Clock, isRecent } from '../../domain/ports/clock.ts'
import { disconnect, goodbyeMs, lastGoodbyeMs } from './disconnect.ts'
import { letIdleQueuesRest } from './idle-queues.ts'
import { type KafkaReport, reportTo } from './log.ts'
import { type KafkaSettings, kafkaTopics, type KafkaTopics, type TopicPlan } from './settings.ts'

const connectionTimeoutMs = 3_000
const requestTimeoutMs = 10_000
const createTimeoutMs = 10_000
const messageBytesMax = 4_194_304
const ledEveryMs = 100
const ledTriesMax = 50
/** A topic that could not be made is tried again after so long, ms. */
const refusedMs = 30_000

/** Of requests that are safe to repeat. */
const retry = { initialRetryTime: 100, maxRetryTime: 2_000, factor: 0.2, multiplier: 2, retries: 5 }

/** What a partition of a topic holds. */
export type PartitionRange = {
  readonly partition: number
  /** Offset of the first record. */
  readonly low: number
  /** Offset that the next record will get. */
  readonly high: number
}

/** A consumer of this process, and when it moved on last. */
export type Progress = { readonly consumer: string; readonly progressAtMs: number }

/** What ends with the connection. */
type Running = Progress & { readonly stop: (limitMs: number) => Promise<void> }

/** What one process shares of Kafka: settings, topics, and a connection for administration. */
export class KafkaConnection {
  readonly settings: KafkaSettings
  readonly topics: KafkaTopics
  readonly clock: Clock
  readonly report: KafkaReport
  readonly #consumers = new Set<Running>()
  #admin: Promise<Admin> | null = null
  #known = new Set<string>()
  /** Topics that Kafka has not and will not make, and when it said so, ms since the epoch. */
  readonly #refused = new Map<string, number>()

  constructor(settings: KafkaSettings, clock: Clock, report: KafkaReport) {
    letIdleQueuesRest()
    this.settings = settings
    this.topics = kafkaTopics(settings)
    this.clock = clock
    this.report = report
  }

  /** One for each consumer: kafkajs shares the offsets of a group within a client. */
  newClient(): Kafka {
    return new Kafka(clientConfig(this.settings, this.report))
  }

  /** Consumers of this process and when each has moved on last, for the metric. */
  progress(): readonly Progress[] {
    return [...this.#consumers]
  }

  /** Shows a consumer in `progress`, and stops it in the end, unless it was taken out before. */
  watch(consumer: Running): () => void {
    this.#consumers.add(consumer)
    return () => void this.#consumers.delete(consumer)
  }

  /** Makes the topics that are not there. @throws Error when one of them cannot be made */
  async ensureTopics(plans: readonly TopicPlan[]): Promise<void> {
    const there = await this.availableTopics(plans)
    const missing = plans.filter((plan) => !there.includes(plan)).map(({ topic }) => topic)
    if (missing.length > 0) throw new Error(`Kafka has no ${missing.join(', ')} and makes none`)
  }

  /**
   * Makes the topics that are not there, and returns those that are: an operator may have deleted
   * one, or never made it, where weir may not make it.
   */
  async availableTopics(plans: readonly TopicPlan[]): Promise<readonly TopicPlan[]> {
    const now = this.clock.now()
    const isRefused = (topic: string): boolean =>
      isRecent(this.#refused.get(topic) ?? -Infinity, now, refusedMs)
    // Others may forget what is known while topics are made.
    const known = this.#known
    const unknown = plans.filter(({ topic }) => !known.has(topic) && !isRefused(topic))
    const made = unknown.length > 0 ? await this.#withAdmin((it) => this.#make(it, unknown)) : []
    return plans.filter(({ topic }) => known.has(topic) || made.includes(topic))
  }

  /** After an error: topics may be gone, and are looked for the next time. */
  forgetTopics(): void {
    this.#known = new Set()
  }

  async clusterId(): Promise<string> {
    const { clusterId } = await this.#withAdmin((admin) => admin.describeCluster())
    return clusterId
  }

  /** Of the events' topic. @throws Error when the topic was made with another number of them */
  async eventsPartitions(): Promise<number> {
    const { topic, partitions } = this.topics.events
    const { topics } = await this.#withAdmin((admin) =>
      admin.fetchTopicMetadata({ topics: [topic] }),
    )
    const count = topics[0]?.partitions.length ?? 0
    if (count === partitions) return count
    const setting = `WEIR_KAFKA_PARTITIONS says ${partitions}`
    throw new Error(`${topic} has ${count} partitions, and ${setting}: nothing is carried`)
  }

  /** Sorted by partition. */
  async ranges({ topic }: TopicPlan): Promise<readonly PartitionRange[]> {
    const offsets = await this.#withAdmin((admin) => admin.fetchTopicOffsets(topic))
    return offsets
      .map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) }))
      .sort((a, b) => a.partition - b.partition)
  }

  /** Deletes what a topic holds, if there is such a topic. */
  async empty({ topic }: TopicPlan): Promise<void> {
    await this.#withAdmin(async (admin) => {
      if (!(await admin.listTopics()).includes(topic)) return
      const offsets = await admin.fetchTopicOffsets(topic)
      const partitions = offsets
        .filter(({ low, high }) => Number(high) > Number(low))
        .map(({ partition, high }) => ({ partition, offset: high }))
      if (partitions.length > 0) await admin.deleteTopicRecords({ topic, partitions })
    })
  }

  /** What the group has committed for a partition, with the text committed beside it. */
  async committed(groupId: string, { topic }: TopicPlan, partition: number) {
    const offsets = await this.#withAdmin((admin) =>
      admin.fetchOffsets({ groupId, topics: [topic] }),
    )
    const found = offsets[0]?.partitions.find((each) => each.partition === partition)
    const offset = Number(found?.offset ?? -1)
    return offset < 0 ? null : { offset, metadata: found?.metadata ?? '' }
  }

  /** Stops what still consumes. Producers are closed by those who opened them. */
  async close(): Promise<void> {
    await Promise.all([
      ...[...this.#consumers].map((consumer) => consumer.stop(lastGoodbyeMs)),
      this.#dropAdmin(lastGoodbyeMs),
    ])
    // A consumer that was just beginning may have asked for it once more.
    await this.#dropAdmin(lastGoodbyeMs)
  }

  async #dropAdmin(limitMs = goodbyeMs): Promise<void> {
    const admin = this.#admin
    this.#admin = null
    if (!admin) return
    const goodbye = () => admin.then((connected) => connected.disconnect())
    await disconnect({ disconnect: goodbye }, this.clock, limitMs)
  }

  /** Returns the topics that are there then. */
  async #make(admin: Admin, plans: readonly TopicPlan[]): Promise<readonly string[]> {
    const present = new Set(await admin.listTopics())
    const missing = plans.filter(({ topic }) => !present.has(topic))
    const refusals = missing.length > 0 ? await createTopics(admin, missing) : []
    for (const { topic, message, retriable } of refusals) {
      this.report('warn', { topic, error: message }, 'a topic of Kafka could not be made')
      // A controller that moves, or is slow, may make it the next time.
      if (!retriable) this.#refused.set(topic, this.clock.now())
    }
    const refused = new Set(refusals.map(({ topic }) => topic))
    const there = plans.map(({ topic }) => topic).filter((topic) => !refused.has(topic))
    if (there.length > 0) await this.#untilLed(admin, there)
    for (const topic of there) this.#known.add(topic)
    return there
  }

  /** A topic that was just made is served a moment later. @throws Error when it takes long */
  async #untilLed(admin: Admin, topics: string[]): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        const metadata = await admin.fetchTopicMetadata({ topics })
        const partitions = metadata.topics.flatMap((topic) => topic.partitions)
        if (partitions.every(({ leader }) => leader >= 0)) return
        if (tries >= ledTriesMax) throw new Error(`no broker leads ${topics.join(', ')} yet`)
      } catch (error) {
        if (tries >= ledTriesMax) throw error
      }
      await this.clock.sleep(ledEveryMs)
    }
  }

  async #withAdmin<T>(use: (admin: Admin) => Promise<T>): Promise<T> {
    const connecting = (this.#admin ??= this.#connectAdmin())
    try {
      return await use(await connecting)
    } catch (error) {
      // What an error leaves of a connection is not relied on.
      if (this.#admin === connecting) await this.#dropAdmin()
      throw error
    }
  }

  async #connectAdmin(): Promise<Admin> {
    const admin = this.newClient().admin()
    await admin.connect()
    return admin
  }
}

function clientConfig(settings: KafkaSettings, report: KafkaReport): KafkaConfig {
  const { brokers, clientId, ssl, sasl } = settings
  return {
    brokers: [...brokers],
    clientId,
    ssl,
    ...(sasl ? { sasl: loginOf(sasl) } : {}),
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    retry,
    logLevel: logLevel.WARN,
    logCreator: reportTo(report),
  }
}

/** kafkajs names each mechanism in a type of its own. */
function loginOf({ mechanism, username, password }: NonNullable<KafkaSettings['sasl']>) {
  return { mechanism, username, password } as SASLOptions
}

/** Resolves with those that Kafka refuses to make, and why. */
async function createTopics(admin: Admin, plans: readonly TopicPlan[]) {
  try {
    // False when another process was faster.
    await admin.createTopics({ topics: plans.map(topicConfig), timeout: createTimeoutMs })
    return []
  } catch (error) {
    if (!(error instanceof KafkaJSAggregateError)) throw error
    return error.errors.filter(isRefusal)
  }
}

type Refusal = Error & {
  readonly topic: string
  readonly type: string
  readonly retriable: boolean
}

function isRefusal(error: Error | string): error is Refusal {
  if (!(error instanceof Error) || !('topic' in error) || !('type' in error)) return false
  return error.type !== 'TOPIC_ALREADY_EXISTS'
}

function topicConfig({ topic, partitions, replication, retentionMs }: TopicPlan) {
  return {
    topic,
    numPartitions: partitions,
    replicationFactor: replication,
    configEntries: [
      { name: 'cleanup.policy', value: 'delete' },
      { name: 'retention.ms', value: String(retentionMs) },
      // An event may be as large as an append; and one too large would hold up all behind it.
      { name: 'max.message.bytes', value: String(messageBytesMax) },
      // Only whole segments are deleted.
      { name: 'segment.ms', value: String(Math.min(retentionMs, 86_400_000)) },
    ],
  }
}
