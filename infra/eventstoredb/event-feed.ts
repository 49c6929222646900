import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js'
import type { RecordedEvent } from '../../domain/envelope.ts'
import { EventFeed, type FeedPage } from '../../domain/ports/event-feed.ts'
import { comparePositions } from '../position.ts'
import type { EventStoreDbBell } from './bell.ts'
import type { EventStoreDbConnection } from './connection.ts'
import { ourEvent } from './our-event.ts'
import { filterStreams, readOptions, readRecorded, type Recorded } from './read.ts'

const { BACKWARDS, FORWARDS } = streams.ReadReq.Options.ReadDirection

/** What stands at a position; null when weir did not write it. */
type Found = { readonly position: string; readonly event: RecordedEvent | null }

/**
 * How much longer than a stream the log may take. The server looks through what it leaves out, and
 * projections may have written millions of events of the system in a row.
 */
const scanTimes = 6
/** Events per read when the end of the log is looked for among those of other programs. */
const lookBackEvents = 100

/**
 * $all in the order of its commit positions, without the streams of the system and of other
 * programs. Made for one reader, like the feed of Postgres.
 */
export class EventStoreDbEventFeed extends EventFeed {
  override readonly start = '0'
  readonly #connection: EventStoreDbConnection
  readonly #bell: EventStoreDbBell
  readonly #streamPrefix: string
  /** Where the newest page ended for its reader, and how far the log was looked through for it. */
  #newest = { position: this.start, seen: this.start }
  /** The position that the bell told last; null when it was not heard for a while. */
  #heard: string | null = this.start
  #wake: () => void = () => undefined
  #isListening = false

  constructor(connection: EventStoreDbConnection, bell: EventStoreDbBell, streamPrefix = '') {
    super()
    this.#connection = connection
    this.#bell = bell
    this.#streamPrefix = streamPrefix
  }

  override async readPage(after: string, limit: number): Promise<FeedPage> {
    this.#heard ??= this.start
    // What others wrote since the newest page is not looked through again and again.
    let seen = after === this.#newest.position ? this.#newest.seen : after
    const events: RecordedEvent[] = []
    while (events.length === 0) {
      const found = await this.#readForwards(seen, limit)
      events.push(...found.flatMap(({ event }) => event ?? []))
      seen = found.at(-1)?.position ?? seen
      if (found.length < limit) break
    }
    const position = events.at(-1)?.position ?? after
    this.#newest = { position, seen }
    return { events, position }
  }

  override async wait(idleMs: number, signal: AbortSignal): Promise<void> {
    this.#listen()
    if (signal.aborted || this.#hasRung()) return
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, idleMs)
      this.#wake = wake
      signal.addEventListener('abort', wake)
    })
  }

  override compare(a: string, b: string): number {
    return comparePositions(a, b)
  }

  override async head(): Promise<string> {
    for (let before: string | null = null; ;) {
      const found = await this.#readBackwards(before)
      const last = found.find(({ event }) => event)
      if (last) return last.position
      before = found.at(-1)?.position ?? null
      if (before === null) return this.start
    }
  }

  /** By one read: the head may lie far behind what other programs have written since. */
  override async reaches(position: string): Promise<boolean> {
    return (await this.#readFrom(position, 1)).length > 0
  }

  #hasRung(): boolean {
    return this.#heard === null || comparePositions(this.#heard, this.#newest.seen) > 0
  }

  #listen(): void {
    if (this.#isListening) return
    this.#isListening = true
    const ring = (position: string | null): void => {
      this.#heard = position
      if (this.#hasRung()) this.#wake()
    }
    this.#bell.listen({
      heard: (recorded) => ring(recorded.getCommitPosition()),
      missed: () => ring(null),
    })
  }

  async #readForwards(after: string, limit: number): Promise<readonly Found[]> {
    const found = await this.#readFrom(after, limit + 1)
    return found[0]?.position === after ? found.slice(1) : found.slice(0, limit)
  }

  /** A server begins with the event that is at the position. */
  async #readFrom(position: string, count: number): Promise<readonly Found[]> {
    const all = new streams.ReadReq.Options.AllOptions()
    if (position === this.start) all.setStart(new shared.Empty())
    else all.setPosition(positionOf(position))
    const options = this.#options(all, count)
    options.setReadDirection(FORWARDS)
    return await this.#read(options)
  }

  async #readBackwards(before: string | null): Promise<readonly Found[]> {
    const all = new streams.ReadReq.Options.AllOptions()
    if (before === null) all.setEnd(new shared.Empty())
    else all.setPosition(positionOf(before))
    const options = this.#options(all, before === null ? 1 : lookBackEvents)
    options.setReadDirection(BACKWARDS)
    return await this.#read(options)
  }

  #read(options: ReadReq.Options): Promise<readonly Found[]> {
    const convert = (recorded: Recorded): Found => ({
      position: recorded.getCommitPosition(),
      event: ourEvent(recorded, this.#streamPrefix),
    })
    const patienceMs = scanTimes * this.#connection.readMs
    return readRecorded(this.#connection, options, convert, patienceMs)
  }

  #options(all: ReadReq.Options.AllOptions, count: number): ReadReq.Options {
    const options = readOptions()
    options.setAll(all)
    options.setCount(String(count))
    filterStreams(options, this.#streamPrefix)
    return options
  }
}

/** The place of an event that was written at once, which all of weir's are. */
function positionOf(commit: string): ReadReq.Options.Position {
  const position = new streams.ReadReq.Options.Position()
  position.setCommitPosition(commit)
  position.setPreparePosition(commit)
  return position
}
