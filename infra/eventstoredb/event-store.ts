import { randomUUID } from 'node:crypto'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { CarriedEvent, NewEvent, RecordedEvent } from '../../domain/envelope.ts'
import { EventStore, readCountMax, UnknownOutcome } from '../../domain/ports/event-store.ts'
import { Turns } from '../../domain/turns.ts'
import { assertReadable, encodeAppend } from '../event-text.ts'
import type { EventText } from '../event-text.ts'
import { AppendLane } from './append-lane.ts'
import type { Append } from './append-lane.ts'
import type { EventStoreDbBell } from './bell.ts'
import type { EventStoreDbConnection } from './connection.ts'
import { ConnectionClosed } from './errors.ts'
import { noPosition, ourEvent } from './our-event.ts'
import { readOptions, readRecorded } from './read.ts'
import { RecentEvents } from './recent-events.ts'

/** A server takes 100 calls per connection; some are subscriptions and the lane of appends. */
const readsInFlightMax = 64

/** Streams in EventStoreDB. Idempotency by event id is the server's own. */
export class EventStoreDbEventStore extends EventStore {
  readonly #connection: EventStoreDbConnection
  readonly #streamPrefix: string
  readonly #reads = new Turns(readsInFlightMax)
  readonly #recent: RecentEvents
  #lane: AppendLane | null = null

  /** @param streamPrefix stands before every name on the server, so that weirs can share one */
  constructor(connection: EventStoreDbConnection, bell: EventStoreDbBell, streamPrefix = '') {
    super()
    this.#connection = connection
    this.#streamPrefix = streamPrefix
    this.#recent = new RecentEvents(bell, streamPrefix)
  }

  override async append(
    stream: string,
    expectedRevision: number,
    events: readonly (NewEvent | CarriedEvent)[],
  ): Promise<number> {
    const texts = encodeAppend(stream, expectedRevision, events)
    await this.#append(stream, expectedRevision, texts)
    return expectedRevision + events.length
  }

  override async read(stream: string, fromRevision: number): Promise<readonly RecordedEvent[]> {
    assertReadable(stream, fromRevision)
    const options = readOptions()
    const identifier = new shared.StreamIdentifier()
    identifier.setStreamName(Buffer.from(this.#streamPrefix + stream))
    const streamOptions = new streams.ReadReq.Options.StreamOptions()
    streamOptions.setStreamIdentifier(identifier)
    streamOptions.setRevision(String(fromRevision))
    options.setStream(streamOptions)
    options.setCount(String(readCountMax))
    const found = await this.#reads.take(() =>
      readRecorded(this.#connection, options, (recorded) => {
        return ourEvent(recorded, this.#streamPrefix) ?? recorded.getStreamRevision()
      }),
    )
    return found.map((event) => {
      if (typeof event === 'string') {
        throw new Error(`${stream} has an event, ${event}, that weir did not write`)
      }
      if (event.position === noPosition) throw new Error('weir needs EventStoreDB 22.6 or newer')
      return event
    })
  }

  override recent(stream: string, fromRevision: number): readonly RecordedEvent[] | null {
    return this.#recent.of(stream, fromRevision)
  }

  #append(stream: string, expected: number, events: readonly EventText[]): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false
      const settle = (act: () => void): void => {
        if (isOver) return
        isOver = true
        clearTimeout(timer)
        act()
      }
      const newTry = (): Append => ({
        ...{ correlationId: randomUUID(), streamName: this.#streamPrefix + stream },
        ...{ stream, expected, events, isOver: () => isOver },
        resolve: () => settle(resolve),
        reject: (error) => settle(() => reject(error)),
        repeat: () => {
          append = newTry()
          void this.#send(append)
        },
      })
      let append = newTry()
      const { appendMs } = this.#connection
      const timer = setTimeout(() => {
        append.reject(new UnknownOutcome(`no answer within ${appendMs} ms`))
        this.#lane?.giveUp(append)
      }, appendMs)
      void this.#send(append)
    })
  }

  async #send(append: Append): Promise<void> {
    try {
      const link = await this.#connection.link()
      if (append.isOver()) return
      if (!this.#lane || this.#lane.isBroken || this.#lane.link !== link) {
        this.#lane = new AppendLane(this.#connection, link)
      }
      this.#lane.send(append)
    } catch (cause) {
      if (cause instanceof ConnectionClosed) append.reject(cause)
      append.reject(new UnknownOutcome('the event store cannot be reached', { cause }))
    }
  }
}
