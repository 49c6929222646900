import type { RecordedEvent } from '../../domain/envelope.ts'
import { EventFeed, type FeedPage } from '../../domain/ports/event-feed.ts'
import { decodeEventRecord, type EventRecord } from './event-record.ts'
import { keyOf, partitionOf } from './partition-of.ts'
import type { Batch } from './supervised-consumer.ts'

// Records arrive by themselves and wait here to be read. Each names the position before it in its
// partition, which makes a chain:
//
//   … ─▶ 17 ─▶ 21 ─▶ 22     read in this order
//   … ─▶ 21 ─▶ 22           again, from a relay that took over: not beyond 22, dropped
//   … ─▶ 40 ─▶ 43           22 is not 40: what lies between is read from the event store
//   … ─▶ 43                 and the relay has published 57: the rest is read from there too
//
// So nothing rests on Kafka's offsets. They only say where reading begins, and spare it the rest.

/** Beyond one of these fetching pauses; it goes on when half of it has been read. */
const waitingMax = 4_000
const waitingBytesMax = 8_000_000
/** Longest wait for records that Kafka has. */
const arriveMs = 20_000
/** Events read from the store at once. */
const historyEventsMax = 1_000
/** How often who has read all that Kafka has looks whether more was published, ms. */
const lookEveryMs = 5_000

type Waiting = EventRecord & { readonly offset: number; readonly bytes: number }

/** What was read, and the offset behind it. */
type Read = { readonly position: string; readonly offset: number }

/** The partition as its consumer has it. */
export type PartitionSource = {
  readonly partition: number
  /** Of the topic. */
  readonly partitions: number
  /** Where the partition begins and ends now, and where this consumer stood at its last commit. */
  readonly places: () => Promise<{
    readonly low: number
    readonly high: number
    readonly committed: Read | null
  }>
  /** Position of the last event that was published in it; null when there was none. */
  readonly published: () => Promise<string | null>
  /** Fetches from that offset on. */
  readonly fetchFrom: (offset: number) => void
  readonly pause: () => void
  readonly resume: () => void
  /** A record cannot be read: it is put aside. */
  readonly undecodable: (message: Batch['messages'][number], reason: string) => void
}

export type KafkaEventFeedOptions = {
  readonly source: PartitionSource
  /** The whole log, for what Kafka does not hold. */
  readonly history: EventFeed
  /** Aborts when the partition is no longer ours: then there is nothing to read. */
  readonly signal: AbortSignal
}

/**
 * One partition of the events' topic, in positions of the event store. Reading resumes where the
 * reader asks, wherever that is. Made for one reader: what it asks for tells what it has done with,
 * all but the last page.
 */
export class KafkaEventFeed extends EventFeed {
  override readonly start: string
  readonly #options: KafkaEventFeedOptions
  /** Up to where was read; null until the first page is asked for, and after an error. */
  #cursor: string | null = null
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #isPaused = false
  #next = 0
  /** Kafka has records up to here: they are waited for. */
  #known = 0
  /** Kafka has lost what was published up to here; null when nothing is known of it. */
  #lost: string | null = null
  #lookedAt = Number.NEGATIVE_INFINITY
  #read: Read[] = []
  #asked: string | null = null
  #done: Read | null = null
  #wakers = new Set<() => void>()

  constructor(options: KafkaEventFeedOptions) {
    super()
    this.#options = options
    this.start = options.history.start
    options.signal.addEventListener('abort', () => this.#wake())
  }

  /** Offset of the next record to fetch; null while there is none. */
  get next(): number | null {
    return this.#cursor === null ? null : this.#next
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** What the reader has done with, to be committed. */
  get done(): Read | null {
    return this.#done
  }

  /** Records from the consumer. */
  take({ messages }: Batch): void {
    if (this.#cursor === null) return
    for (const message of messages) this.#take(message)
    const isFull = this.#waiting.length > waitingMax || this.#waitingBytes > waitingBytesMax
    if (isFull && !this.#isPaused) {
      this.#isPaused = true
      this.#options.source.pause()
    }
    this.#wake()
  }

  override async readPage(after: string, limit: number): Promise<FeedPage> {
    if (this.#isRevoked()) return { events: [], position: after }
    try {
      await this.#standAt(after)
      if (this.#waiting.length === 0) await this.#arrival()
      const lost = await this.#lostUntil(after)
      const missing = this.#missingUntil(after) ?? lost
      const events = missing === null ? [] : await this.#readHistory(after, missing, limit)
      if (this.#isRevoked()) return { events: [], position: after }
      const page = events.length > 0 ? events : this.#takeRun(missing ?? after, limit)
      const position = page.at(-1)?.position ?? after
      this.#cursor = position
      return { events: page, position }
    } catch (error) {
      // Where the consumer stands is not relied on: the next page begins anew.
      this.#cursor = null
      throw error
    }
  }

  override async wait(idleMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#isRevoked() || this.#waiting.length > 0) return
    // A revocation wakes too. AbortSignal.any would keep a trace of each wait (Node 20): 85 bytes,
    // two times a second and partition.
    await this.#woken(idleMs, signal)
  }

  override compare(a: string, b: string): number {
    return this.#options.history.compare(a, b)
  }

  /** As far as records could be fetched: a reader that lags far behind holds them up. */
  override async head(): Promise<string> {
    const { low, high } = await this.#options.source.places()
    if (high === low) return this.#last
    const isOpen = this.#cursor !== null
    if (!isOpen) this.#begin(this.start, { from: high - 1, known: high })
    this.#known = high
    if (!this.#isPaused) await this.#arrival((feed) => feed.#next >= high || feed.#isPaused)
    const last = this.#last
    if (!isOpen) this.#cursor = null
    return last
  }

  get #last(): string {
    return this.#waiting.at(-1)?.event.position ?? this.#cursor ?? this.start
  }

  #isRevoked(): boolean {
    return this.#options.signal.aborted
  }

  #take(message: Batch['messages'][number]): void {
    this.#next = Number(message.offset) + 1
    try {
      const record = decodeEventRecord(message)
      // From a time when the topic had another number of partitions: it is also in another one.
      if (record.partitions !== this.#options.source.partitions) return
      if (this.compare(record.event.position, this.#last) <= 0) return
      const bytes = message.value?.length ?? 0
      this.#waiting.push({ ...record, offset: this.#next, bytes })
      this.#waitingBytes += bytes
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#options.source.undecodable(message, reason)
    }
  }

  /** Makes the next record the first one beyond `after`, beginning anew where that must be. */
  async #standAt(after: string): Promise<void> {
    if (this.#cursor === null || this.compare(after, this.#cursor) < 0) {
      const { low, high, committed } = await this.#options.source.places()
      const isOfUse =
        committed !== null &&
        committed.offset >= low &&
        committed.offset <= high &&
        this.compare(committed.position, after) <= 0
      this.#begin(after, { from: isOfUse ? committed.offset : low, known: high })
      return
    }
    if (this.#asked !== null) this.#acknowledge(this.#asked)
    this.#asked = after
    this.#cursor = after
    const isBeyond = ({ event }: Waiting): boolean => this.compare(event.position, after) > 0
    if (this.#waiting[0] && !isBeyond(this.#waiting[0])) {
      this.#waiting = this.#waiting.filter(isBeyond)
      this.#relax()
    }
  }

  #begin(after: string, { from, known }: { from: number; known: number }): void {
    this.#waiting = []
    this.#waitingBytes = 0
    this.#read = []
    this.#asked = null
    this.#isPaused = false
    this.#cursor = after
    this.#next = from
    this.#known = known
    this.#lost = null
    this.#lookedAt = Number.NEGATIVE_INFINITY
    this.#options.source.fetchFrom(from)
  }

  /**
   * Whoever asks for what is beyond a position has done with all before the last page, which it may
   * still be writing.
   */
  #acknowledge(after: string): void {
    const open = this.#read.findIndex(({ position }) => this.compare(position, after) > 0)
    const done = this.#read.splice(0, open < 0 ? this.#read.length : open)
    this.#done = done.at(-1) ?? this.#done
  }

  /** The position up to which the event store has what Kafka has not; null when it has all. */
  #missingUntil(after: string): string | null {
    const first = this.#waiting[0]
    if (!first || first.previous === null) return null
    return this.compare(first.previous, after) > 0 ? first.previous : null
  }

  /**
   * The position up to which was published what Kafka has not any more, and no record behind it
   * tells of; null when it has all.
   */
  async #lostUntil(after: string): Promise<string | null> {
    if (this.#waiting.length > 0) return null
    if (this.#lost !== null && this.compare(this.#lost, after) > 0) return this.#lost
    this.#lost = null
    const now = performance.now()
    if (now - this.#lookedAt < lookEveryMs) return null
    this.#lookedAt = now
    const { source } = this.#options
    const published = await source.published()
    if (published === null || this.compare(published, after) <= 0) return null
    // Asked for later than the position: what Kafka has of it lies before `high`.
    const { high } = await source.places()
    this.#known = high
    if (this.#next >= high && this.#waiting.length === 0) this.#lost = published
    return this.#lost
  }

  /** @throws Error when the store has no more than Kafka: what is published was never recorded */
  async #readHistory(after: string, until: string, limit: number): Promise<RecordedEvent[]> {
    const { history, source, signal } = this.#options
    const { partition, partitions } = source
    for (let from = after; !signal.aborted && this.compare(from, until) < 0;) {
      const page = await history.readPage(from, historyEventsMax)
      if (page.events.length === 0) throw new Error(`the event store ends before ${until}`)
      const found = page.events
        .filter((event) => partitionOf(keyOf(event), partitions) === partition)
        .filter(({ position }) => this.compare(position, until) <= 0)
      if (found.length > 0) return found.slice(0, limit)
      from = page.position
    }
    return []
  }

  /** Takes records off the front, as far as the chain is whole, which begins at `from`. */
  #takeRun(from: string, limit: number): RecordedEvent[] {
    const broken = this.#waiting.findIndex(({ previous }, at) => {
      const before = this.#waiting[at - 1]?.event.position ?? from
      return previous !== null && this.compare(previous, before) > 0
    })
    const run = this.#waiting.splice(0, Math.min(limit, broken < 0 ? limit : broken))
    const last = run.at(-1)
    if (last) this.#read.push({ position: last.event.position, offset: last.offset })
    this.#relax()
    return run.map(({ event }) => event)
  }

  /** Counts what waits, and lets more come when half of it has been read. */
  #relax(): void {
    this.#waitingBytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0)
    const isLow = this.#waiting.length < waitingMax / 2 && this.#waitingBytes < waitingBytesMax / 2
    if (!this.#isPaused || !isLow) return
    this.#isPaused = false
    this.#options.source.resume()
  }

  /** Waits for records that Kafka has. @throws Error when they do not come */
  async #arrival(isThere = (feed: this) => feed.#waiting.length > 0 || feed.#next >= feed.#known) {
    const { signal } = this.#options
    const late = performance.now() + arriveMs
    while (!signal.aborted && !isThere(this)) {
      const restMs = late - performance.now()
      if (restMs <= 0) throw new Error('records that Kafka has did not arrive')
      await this.#woken(restMs, signal)
    }
  }

  async #woken(limitMs: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        this.#wakers.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, limitMs)
      signal.addEventListener('abort', wake)
      this.#wakers.add(wake)
    })
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake()
  }
}
