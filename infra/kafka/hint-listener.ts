import { randomUUID } from 'node:crypto'
import type { KafkaConnection } from './connection.ts'
import type { TopicPlan } from './settings.ts'
import { type Assignment, type Batch, SupervisedConsumer } from './supervised-consumer.ts'

/** Nobody waits longer to be heard by Kafka: hints may be lost, and whoever listens also looks. */
const joinMsMax = 10_000
/** A reason of our own: without one, each abort would make an error with its stack. */
const hasJoined = 'joined'

/** What somebody does with the hints of a topic. */
export type Hearer = {
  readonly heard: (key: string, value: string) => void
  /** Kafka was away: hints may have been missed. */
  readonly missed: () => void
}

/**
 * Hears every record of some topics, from now on. It is the only member of a group of its own, so
 * that no other process makes it wait; nothing is committed, and Kafka forgets the group.
 */
export class HintListener {
  readonly #connection: KafkaConnection
  readonly #name: string
  readonly #hearers = new Map<string, Set<Hearer>>()
  readonly #plans = new Map<string, TopicPlan>()
  /** Offset of the next record of each partition, as far as it is known. */
  readonly #next = new Map<string, number>()
  #consumer: SupervisedConsumer | null = null
  #changing: Promise<void> = Promise.resolve()
  #joining: Promise<void> = Promise.resolve()
  #joined = (): void => undefined

  constructor(connection: KafkaConnection, name: string) {
    this.#connection = connection
    this.#name = name
  }

  /**
   * Calls the hearer for every record of the topics until the returned function is called.
   * Resolves when the first one would be heard; while Kafka is away after some seconds, and then
   * they are heard as soon as it is there. The consumer ends with the connection.
   */
  async listen(plans: readonly TopicPlan[], hearer: Hearer): Promise<() => Promise<void>> {
    for (const { topic } of plans) {
      const hearers = this.#hearers.get(topic) ?? new Set()
      this.#hearers.set(topic, hearers.add(hearer))
    }
    if (plans.some(({ topic }) => !this.#plans.has(topic))) {
      for (const plan of plans) this.#plans.set(plan.topic, plan)
      this.#changing = this.#changing.then(() => this.#restart())
    }
    await this.#changing
    await this.#joining
    return async () => {
      for (const { topic } of plans) this.#hearers.get(topic)?.delete(hearer)
    }
  }

  /** A consumer takes all of its topics when it begins. */
  async #restart(): Promise<void> {
    await this.#consumer?.stop()
    this.#joined()
    const joined = new AbortController()
    this.#joined = () => joined.abort(hasJoined)
    this.#joining = this.#connection.clock.sleep(joinMsMax, joined.signal)
    const topics = [...this.#plans.values()]
    const consumer = new SupervisedConsumer({
      connection: this.#connection,
      name: this.#name,
      groupId: `${this.#connection.settings.topicPrefix}.${this.#name}.${randomUUID()}`,
      topics,
      opening: (there) => this.#findEnds(there),
      joined: (assignment) => {
        this.#seek(consumer, assignment)
        this.#joined()
      },
      received: (batch) => this.#hear(batch),
    })
    this.#consumer = consumer
    consumer.start()
  }

  /** Goes on behind what was heard last; at the end of a topic that is new, or was replaced. */
  async #findEnds(topics: readonly TopicPlan[]): Promise<void> {
    for (const plan of topics) {
      for (const { partition, low, high } of await this.#connection.ranges(plan)) {
        const place = `${plan.topic}/${partition}`
        const next = this.#next.get(place)
        if (next !== undefined && next >= low && next <= high) continue
        this.#next.set(place, high)
        if (next === undefined) continue
        for (const hearer of this.#hearers.get(plan.topic) ?? []) hearer.missed()
      }
    }
  }

  #seek(consumer: SupervisedConsumer, assignment: Assignment): void {
    for (const [topic, partitions] of Object.entries(assignment)) {
      for (const partition of partitions) {
        consumer.seek(topic, partition, this.#next.get(`${topic}/${partition}`) ?? 0)
      }
    }
  }

  #hear({ topic, partition, messages }: Batch): void {
    const place = `${topic}/${partition}`
    for (const { key, value, offset } of messages) {
      this.#next.set(place, Number(offset) + 1)
      for (const hearer of [...(this.#hearers.get(topic) ?? [])]) {
        hearer.heard(key?.toString() ?? '', value?.toString() ?? '')
      }
    }
  }
}
