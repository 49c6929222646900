import type { RecordedEvent } from '../../domain/envelope.ts'
import { isRecent } from '../../domain/ports/clock.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { FeedPartitions, type FollowPartition } from '../../domain/ports/feed-partitions.ts'
import { steadyAssigner } from './assigner.ts'
import type { KafkaConnection } from './connection.ts'
import type { DeadLetters } from './dead-letters.ts'
import { KafkaEventFeed, type PartitionSource } from './event-feed.ts'
import { keyOf, partitionOf } from './partition-of.ts'
import { type Assignment, SupervisedConsumer } from './supervised-consumer.ts'

// A share of the log is a partition, and its owner a member of a consumer group. kafkajs gives no
// way to finish work before a member joins the next generation: its partitions are fetched again
// at once. Therefore work goes on through a rebalance, and what was taken away is ended after it.
//
//   assigned ─▶ work ──┬── assigned again ─▶ fetch from where it stood
//                      └── revoked ─▶ signal aborts ─▶ work ends
//
// For that moment a partition has two owners; the one whose checkpoint moves first wins the page.

const commitEveryMs = 5_000
const retryMs = 1_000
/** What was published last is asked for once for all shares that look at the same time, ms. */
const publishedMs = 1_000

export type KafkaFeedPartitionsOptions = {
  readonly connection: KafkaConnection
  /** The whole log from the event store, for what Kafka does not hold. */
  readonly newHistory: () => EventFeed
  /** The last event that was published in each share. */
  readonly lastCarried: () => Promise<ReadonlyMap<string, { readonly position: string }>>
  readonly deadLetters: DeadLetters
}

/** Partitions of the events' topic, divided among the processes of a consumer group. */
export class KafkaFeedPartitions extends FeedPartitions {
  readonly #options: KafkaFeedPartitionsOptions

  constructor(options: KafkaFeedPartitionsOptions) {
    super()
    this.#options = options
  }

  override async follow(consumer: string, work: FollowPartition): Promise<() => Promise<void>> {
    const member = new GroupMember(this.#options, consumer, work)
    member.start()
    return () => member.stop()
  }

  override shareOf(event: RecordedEvent): string {
    const { partitions } = this.#options.connection.settings
    return shareName(partitionOf(keyOf(event), partitions), partitions)
  }

  override isIn(share: string, event: RecordedEvent): boolean {
    const [partition, partitions = NaN] = share.split('/').map(Number)
    return partitionOf(keyOf(event), partitions) === partition
  }
}

/** Of a partition. Divided anew, the log has other shares. */
export function shareName(partition: number, partitions: number): string {
  return `${partition}/${partitions}`
}

/** Work on one partition. */
type Share = {
  readonly feed: KafkaEventFeed
  readonly partitions: number
  readonly stopping: AbortController
  readonly ended: Promise<void>
  committedOffset: number
}

class GroupMember {
  readonly #options: KafkaFeedPartitionsOptions
  readonly #work: FollowPartition
  readonly #groupId: string
  readonly #consumer: SupervisedConsumer
  readonly #shares = new Map<number, Share>()
  readonly #stopping = new AbortController()
  #assigned = new Set<number>()
  #settling: Promise<void> = Promise.resolve()
  #committing: Promise<void> = Promise.resolve()
  #published: ReturnType<KafkaFeedPartitionsOptions['lastCarried']> | null = null
  #publishedAt = 0

  constructor(options: KafkaFeedPartitionsOptions, name: string, work: FollowPartition) {
    const { connection } = options
    this.#options = options
    this.#work = work
    this.#groupId = `${connection.settings.topicPrefix}.${name}`
    this.#consumer = new SupervisedConsumer({
      ...{ connection, name, groupId: this.#groupId, assigner: steadyAssigner },
      topics: [connection.topics.events],
      joined: (assignment) => this.#joined(assignment),
      received: (batch) => this.#shares.get(batch.partition)?.feed.take(batch),
    })
  }

  start(): void {
    this.#consumer.start()
    this.#committing = this.#keepCommitting()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#settling
    for (const { stopping } of this.#shares.values()) stopping.abort()
    await Promise.all([...this.#shares.values()].map(({ ended }) => ended))
    await this.#committing
    await this.#consumer.stop()
  }

  get #topic(): string {
    return this.#options.connection.topics.events.topic
  }

  #joined(assignment: Assignment): void {
    this.#assigned = new Set(assignment[this.#topic] ?? [])
    for (const partition of this.#assigned) {
      const feed = this.#shares.get(partition)?.feed
      // kafkajs would go on at the last commit, and fetch what nobody has asked for yet.
      if (feed && feed.next !== null) this.#consumer.seek(this.#topic, partition, feed.next)
      if (!feed || feed.next === null || feed.isPaused) {
        this.#consumer.pause(this.#topic, partition)
      }
    }
    this.#settling = this.#settling.then(() => this.#settle())
  }

  /** Ends the work on what is not ours any more, and begins it on what is. */
  async #settle(): Promise<void> {
    const partitions = await this.#countPartitions()
    if (partitions === null) return
    const isOver = ([partition, share]: [number, Share]): boolean =>
      !this.#assigned.has(partition) || share.partitions !== partitions
    const over = [...this.#shares].filter(isOver)
    for (const [, { stopping }] of over) stopping.abort()
    for (const [partition, { ended }] of over) {
      await ended
      this.#shares.delete(partition)
    }
    if (this.#stopping.signal.aborted) return
    for (const partition of this.#assigned) {
      if (!this.#shares.has(partition)) this.#begin(partition, partitions)
    }
  }

  /** Null when this ends before Kafka answers. */
  async #countPartitions(): Promise<number | null> {
    const { connection } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        return await connection.eventsPartitions()
      } catch (error) {
        connection.report('warn', { err: error }, 'Kafka did not tell its partitions')
        await connection.clock.sleep(retryMs, signal)
      }
    }
    return null
  }

  #begin(partition: number, partitions: number): void {
    const stopping = new AbortController()
    const { signal } = stopping
    const history = this.#options.newHistory()
    const source = this.#source(partition, partitions)
    const feed = new KafkaEventFeed({ source, history, signal })
    const name = shareName(partition, partitions)
    const ended = this.#untilEnded(() => this.#work({ name, feed, signal }), signal)
    this.#shares.set(partition, { feed, partitions, stopping, ended, committedOffset: -1 })
  }

  /** Work ends when it is told to; were it to fail before, it begins again. */
  async #untilEnded(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, report } = this.#options.connection
    while (!signal.aborted) {
      await work().catch((error: unknown) => {
        report('error', { err: error, loop: this.#consumer.consumer }, 'work on a share failed')
      })
      await clock.sleep(retryMs, signal)
    }
  }

  #source(partition: number, partitions: number): PartitionSource {
    const { connection, deadLetters } = this.#options
    const { events } = connection.topics
    const { topic } = events
    return {
      partition,
      partitions,
      places: async () => {
        const [ranges, committed] = await Promise.all([
          connection.ranges(events),
          connection.committed(this.#groupId, events, partition),
        ])
        const { low = 0, high = 0 } = ranges.find((each) => each.partition === partition) ?? {}
        const read = committed && { offset: committed.offset, position: committed.metadata }
        return { low, high, committed: read?.position ? read : null }
      },
      published: async () => {
        const last = (await this.#lastPublished()).get(shareName(partition, partitions))
        return last?.position ?? null
      },
      fetchFrom: (offset) => this.#consumer.seek(topic, partition, offset),
      pause: () => this.#consumer.pause(topic, partition),
      resume: () => this.#consumer.resume(topic, partition),
      undecodable: (message, reason) => deadLetters.add({ topic, partition, message }, reason),
    }
  }

  async #lastPublished() {
    const now = this.#options.connection.clock.now()
    if (this.#published === null || !isRecent(this.#publishedAt, now, publishedMs)) {
      this.#published = this.#options.lastCarried()
      this.#publishedAt = now
    }
    try {
      return await this.#published
    } catch (error) {
      this.#published = null
      throw error
    }
  }

  async #keepCommitting(): Promise<void> {
    const { clock } = this.#options.connection
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await clock.sleep(commitEveryMs, signal)
      await this.#commit()
    }
  }

  /** Spares the next owner the reading of what was read; nothing more rests on it. */
  async #commit(): Promise<void> {
    const due = [...this.#shares].flatMap(([partition, share]) => {
      const { done } = share.feed
      if (!done || done.offset === share.committedOffset) return []
      return this.#assigned.has(partition) ? [{ partition, share, done }] : []
    })
    if (due.length === 0) return
    const offsets = due.map(({ partition, done }) => ({
      ...{ partition, offset: done.offset, metadata: done.position },
    }))
    try {
      await this.#consumer.commit(this.#topic, offsets)
      for (const { share, done } of due) share.committedOffset = done.offset
    } catch {
      // The group is rebalancing or away: the next commit says it.
    }
  }
}
