import { untilAborted } from '../domain/until-aborted.ts'
import { type Clock, isRecent } from '../domain/ports/clock.ts'
import type { EventFeed, FeedPage } from '../domain/ports/event-feed.ts'
import type { EventPublisher, Publication } from '../domain/ports/event-publisher.ts'
import type { RelayCheckpoint, RelayStand } from '../domain/ports/relay-checkpoint.ts'
import type { Loop, LoopReport } from './loop.ts'
import { repeat } from './repeat.ts'
import type { Turn } from './repeat.ts'

// One relay carries the log to those who follow it live; the others wait for its lease to end.
//
//   waiting ── acquire ──▶ publishing ── error, stop ──▶ release ──▶ waiting
//                             │   ▲
//                             ▼   │ page published, then the checkpoint moved
//                          read a page
//
// A relay that dies between the two leaves a page that is published again by the next one; one
// that sleeps through its lease may publish a page late. Readers drop both by their positions.

/** Events per page at most: what a takeover publishes twice. */
const pageEventsMax = 1_000
/** The feed's hint may be lost; then this is how late an event is published, ms. */
const idleMs = 500
const leaseMs = 15_000
/** How often a relay that has nothing to do says that it is there, ms. */
const keepEveryMs = 5_000
/** How often a waiting relay looks whether the lease is free, ms. */
const acquireEveryMs = 2_000
/** How often a relay with many events before it says how far it is, ms. */
const tellEveryMs = 10_000

export type RelayOptions = {
  readonly feed: EventFeed
  readonly publisher: EventPublisher
  readonly checkpoint: RelayCheckpoint
  readonly clock: Clock
  /** Names the process, for those who look at the lease. */
  readonly owner: string
  readonly report: LoopReport
}

type Held = {
  readonly epoch: number
  readonly publication: Publication
  stand: RelayStand
  keptAt: number
  /** When it took over, or said how far it is, ms since the epoch. */
  toldAt: number
  /** Since it took over. */
  published: number
  /** The next page, read while the last one was being published. */
  next: Promise<FeedPage> | null
}

/** Publishes the log, a page at a time, for as long as it holds the lease. */
export class Relay {
  readonly #options: RelayOptions
  #held: Held | null = null

  constructor(options: RelayOptions) {
    this.#options = options
  }

  loop(): Loop {
    const { clock, report, feed } = this.#options
    const loop = repeat({
      ...{ name: 'relay', clock, report },
      turn: (signal) => this.turn(signal),
      idle: (signal) =>
        this.#held ? feed.wait(idleMs, signal) : clock.sleep(acquireEveryMs, signal),
    })
    return {
      ...loop,
      stop: async (signal) => {
        await loop.stop(signal)
        await this.#drop()
      },
    }
  }

  async turn(signal = new AbortController().signal): Promise<Turn> {
    try {
      this.#held ??= await this.#acquire(signal)
      return this.#held ? await this.#carry(this.#held) : 'idle'
    } catch (error) {
      // Whether the last step was done is not known: the next one starts from the checkpoint.
      await this.#drop()
      throw error
    }
  }

  async #acquire(signal: AbortSignal): Promise<Held | null> {
    const { feed, publisher, checkpoint, clock, owner, report } = this.#options
    const lease = await checkpoint.acquire({ owner, leaseMs })
    if (!lease) return null
    const { epoch, stand } = lease
    try {
      // What is appended to a log that was restored would be taken for published, up to that place.
      if (!(await reaches(feed, stand))) {
        throw new Error('the log ends before what was published of it: was it restored?')
      }
      const opening = publisher.open()
      const publication = await untilAborted(opening, signal)
      if (publication === null) {
        // What is opened for nobody is closed again.
        void opening.then(({ close }) => close()).catch(() => undefined)
        await checkpoint.release(epoch)
        return null
      }
      report('info', { epoch, position: stand.position }, 'relay took over')
      const times = { keptAt: Number.NEGATIVE_INFINITY, toldAt: clock.now() }
      return { epoch, publication, stand, ...times, published: 0, next: null }
    } catch (error) {
      await checkpoint.release(epoch)
      throw error
    }
  }

  async #carry(held: Held): Promise<Turn> {
    const { feed, clock } = this.#options
    const isKept = isRecent(held.keptAt, clock.now(), keepEveryMs)
    if (!isKept && !(await this.#keep(held))) return 'idle'
    const from = held.stand.position ?? feed.start
    const page = await (held.next ?? feed.readPage(from, pageEventsMax))
    held.next = null
    if (page.events.length === 0) return 'idle'
    if (page.events.length === pageEventsMax) held.next = this.#readAhead(page.position)
    const mark = await held.publication.publish(page.events, held.stand.mark)
    this.#count(held, page)
    return (await this.#move(held, { position: page.position, mark })) ? 'busy' : 'idle'
  }

  /** After the topic was divided anew, those who follow the log there hear nothing new for long. */
  #count(held: Held, { events, position }: FeedPage): void {
    const { clock, report } = this.#options
    held.published += events.length
    const now = clock.now()
    if (events.length < pageEventsMax) held.toldAt = now
    if (isRecent(held.toldAt, now, tellEveryMs)) return
    held.toldAt = now
    const { epoch, published } = held
    const recordedAt = events.at(-1)?.recordedAt
    report('info', { epoch, published, position, recordedAt }, 'relay publishes what is behind')
  }

  /** Looks whether all is as the checkpoint says, and extends the lease. */
  async #keep(held: Held): Promise<boolean> {
    const { report } = this.#options
    const { mark } = held.stand
    if (mark === null || (await held.publication.holds(mark))) return this.#move(held, held.stand)
    const { epoch, stand } = held
    const { position } = stand
    const resumed = await held.publication.resume(mark)
    if (resumed !== null) {
      report('warn', { epoch, position }, 'what was published is gone: it is read from the log')
      return await this.#move(held, { position, mark: resumed })
    }
    report('warn', { epoch }, 'the topic was divided anew: publishing from the start of the log')
    held.next = null
    return await this.#move(held, { position: null, mark: null })
  }

  /** Moves the checkpoint. False when another relay has taken over. */
  async #move(held: Held, to: RelayStand): Promise<boolean> {
    const { checkpoint, clock, report } = this.#options
    const { epoch, stand } = held
    const now = clock.now()
    const isMine = await checkpoint.move({ epoch, from: stand.position, to, leaseMs })
    if (!isMine) {
      report('warn', { epoch }, 'another relay has taken over')
      await this.#drop()
      return false
    }
    held.stand = to
    held.keptAt = now
    return true
  }

  #readAhead(position: string): Promise<FeedPage> {
    const page = this.#options.feed.readPage(position, pageEventsMax)
    // Whoever takes it hears of its failure; it may also be taken by nobody.
    page.catch(() => undefined)
    return page
  }

  async #drop(): Promise<void> {
    const held = this.#held
    if (!held) return
    this.#held = null
    // A lease that cannot be released ends by itself.
    await Promise.allSettled([
      ...[held.next, held.publication.close()],
      this.#options.checkpoint.release(held.epoch),
    ])
  }
}

/**
 * Whether the log goes as far as it was published. One that was restored may not: what it gets next
 * would take places that everybody has passed, and be seen by nobody.
 */
export async function isLogWhole({
  feed,
  checkpoint,
}: Pick<RelayOptions, 'feed' | 'checkpoint'>): Promise<boolean> {
  return reaches(feed, await checkpoint.stand())
}

async function reaches(feed: EventFeed, { position }: RelayStand): Promise<boolean> {
  return position === null || (await feed.reaches(position))
}

/**
 * Takes the log for published up to there, where everybody who follows it begins: in a database
 * that is new, and while no relay runs.
 */
export async function beginAt(
  { checkpoint, owner }: Pick<RelayOptions, 'checkpoint' | 'owner'>,
  position: string,
): Promise<void> {
  const lease = await checkpoint.acquire({ owner, leaseMs })
  if (!lease) return
  const { epoch, stand } = lease
  if (stand.position === null) {
    await checkpoint.move({ epoch, from: null, to: { position, mark: null }, leaseMs })
  }
  await checkpoint.release(epoch)
}

/** How far the relay is behind the log. */
export type RelayLag = {
  /** Not published yet, as far as they are counted. */
  readonly events: number
  /** Age of the oldest of them; 0 when there is none. */
  readonly oldestMs: number
}

/** Events that are not published yet; more than `limit` are not counted. */
export async function relayLag(
  { feed, checkpoint, clock }: Pick<RelayOptions, 'feed' | 'checkpoint' | 'clock'>,
  limit: number,
): Promise<RelayLag> {
  const { position } = await checkpoint.stand()
  const { events } = await feed.readPage(position ?? feed.start, limit)
  const [oldest] = events
  const oldestMs = oldest ? Math.max(0, clock.now() - Date.parse(oldest.recordedAt)) : 0
  return { events: events.length, oldestMs }
}
