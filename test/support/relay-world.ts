import type { RecordedEvent } from '../../domain/envelope.ts'
import { EventPublisher, type Publication } from '../../domain/ports/event-publisher.ts'
import { MemoryEventFeed } from '../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { MemoryEventPublisher, MemoryTopic } from '../../infra/memory/event-publisher.ts'
import { MemoryRelayCheckpoint } from '../../infra/memory/relay-checkpoint.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import type { Loop } from '../../workers/loop.ts'
import { Relay } from '../../workers/relay.ts'
import { Life } from './mortal.ts'

/** A log, a topic, and as many relays between them as a test starts, each with a life. */
export class RelayWorld {
  readonly clock = new SimulatedClock()
  log = new MemoryEventLog()
  readonly topic = new MemoryTopic()
  readonly checkpoint = new MemoryRelayCheckpoint(this.clock)
  readonly told: string[] = []
  /** What was published before the topic was wiped. */
  #gone: readonly RecordedEvent[] = []
  readonly #started: { readonly loop: Loop; readonly life: Life }[] = []

  /** Puts events into the log, of a few streams in turn. */
  append(count: number): void {
    const first = this.log.events.length
    const events = Array.from({ length: count }, (_, at) => ({
      id: `event ${first + at}`,
      stream: `job-${(first + at) % 7}`,
      revision: Math.floor((first + at) / 7),
      type: 'Counted',
      data: '{}',
      meta: '{}',
      recordedMs: this.clock.now(),
    }))
    this.log.add(events)
  }

  /** Whoever has not read what is gone then reads it from the log. */
  wipeTopic(): void {
    this.#gone = this.published
    this.topic.wipe()
  }

  /** Everything, also what is gone. */
  get published(): readonly RecordedEvent[] {
    return [...this.#gone, ...this.topic.records]
  }

  /** The log as it was when it had so many events. */
  restore(count: number): void {
    this.log = new MemoryEventLog()
    this.append(count)
  }

  newFeed(): MemoryEventFeed {
    return new MemoryEventFeed(this.log, this.clock)
  }

  startRelay(life = new Life()): Life {
    const relay = new Relay({
      feed: life.port(this.newFeed()),
      publisher: life.port(new MortalPublisher(new MemoryEventPublisher(this.topic), life)),
      checkpoint: life.port(this.checkpoint),
      clock: life.port(this.clock),
      owner: `relay ${this.#started.length}`,
      report: (_, __, message) => void this.told.push(message),
    })
    const loop = relay.loop()
    this.#started.push({ loop, life })
    loop.start()
    return life
  }

  async pass(seconds: number): Promise<void> {
    await this.clock.advance(seconds * 1_000)
  }

  async stop(): Promise<void> {
    const alive = this.#started.filter(({ life }) => !life.isOver)
    const progress = { isStopped: false }
    const stopped = Promise.all(alive.map(({ loop }) => loop.stop(AbortSignal.abort())))
    void stopped.then(() => (progress.isStopped = true))
    for (let s = 0; s < 600 && !progress.isStopped; s += 1) await this.pass(1)
    if (!progress.isStopped) throw new Error('relays did not stop')
  }

  /** Positions as a reader has them that drops what is not beyond the last one it has seen. */
  readBy(records: readonly RecordedEvent[] = this.published): readonly string[] {
    const seen: string[] = []
    const feed = this.newFeed()
    for (const { position } of records) {
      if (feed.compare(position, seen.at(-1) ?? feed.start) > 0) seen.push(position)
    }
    return seen
  }

  /** Positions of the whole log. */
  get positions(): readonly string[] {
    return this.log.events.map(({ position }) => position)
  }
}

/** What it opens belongs to the life too. */
class MortalPublisher extends EventPublisher {
  readonly #publisher: EventPublisher
  readonly #life: Life

  constructor(publisher: EventPublisher, life: Life) {
    super()
    this.#publisher = publisher
    this.#life = life
  }

  override async open(): Promise<Publication> {
    return this.#life.port(await this.#publisher.open())
  }
}
