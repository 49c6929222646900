import type { Recorded } from '../domain/catalog.ts'
import { type Clock, isRecent } from '../domain/ports/clock.ts'
import type { EventFeed, FeedPage } from '../domain/ports/event-feed.ts'
import { CheckpointMoved } from '../domain/ports/read-model-store.ts'
import type { ReadModelStore, TableChange } from '../domain/ports/read-model-store.ts'
import { applyPage, knownEvents, pageUntil } from '../projections/page.ts'
import type { PageRows } from '../projections/page.ts'
import type { Projection } from '../projections/projection.ts'
import { CachedRows } from './cached-rows.ts'
import type { Gathering } from './gathering.ts'
import type { Loop, LoopReport } from './loop.ts'
import { repeat } from './repeat.ts'
import type { Turn } from './repeat.ts'
import { WriteBehind } from './write-behind.ts'

/** Events per page at most. */
const pageEventsByDefault = 1_000
/** The feed's hint may be lost; then this is how late a read model is, ms. */
const idleMs = 500
/** A checkpoint that moves without a row is stored when nothing has come for so long, ms. */
const unstoredMs = 100

export type ProjectorOptions = {
  readonly feed: EventFeed
  readonly store: ReadModelStore
  readonly projections: readonly Projection[]
  /** The share of the log that the feed has; absent when it has all of it. */
  readonly share?: string
  readonly clock: Clock
  readonly report: LoopReport
  /** Lets pages grow in a busy time; absent when nothing may wait. */
  readonly gathering?: Gathering
  /** Events per page at most; a thousand when absent. */
  readonly pageEvents?: number
  /** Called after a page is committed: announcements and signals, which may be lost. */
  readonly committed: (events: readonly Recorded[], changes: readonly TableChange[]) => void
}

/**
 * Carries the log into the read models, a page at a time: rows and checkpoints of all read models
 * that stand at the same place change in one transaction. One that is behind catches up first.
 * Pages that change no row are passed over, and their checkpoints stored with the next one. While
 * there is more to read, a page is written as the next one is read and applied.
 */
export function projector(options: ProjectorOptions): Loop {
  const { feed, projections, gathering, clock, report, committed } = options
  const { pageEvents = pageEventsByDefault } = options
  const store = new CachedRows(options.store)
  const checkpoints = new Checkpoints({ ...options, store })
  const pages = new WriteBehind()

  const write = async (group: Stands, { events, position }: FeedPage, rows: PageRows) => {
    const changes = rows.changes()
    if (changes.length > 0) await checkpoints.commit(group, position, changes)
    else checkpoints.passOver(group, position)
    committed(knownEvents(events), changes)
  }

  const turn = async (signal: AbortSignal): Promise<Turn> => {
    const { group, from, until } = nextGroup(await checkpoints.stands(), feed)
    await gathering?.rest(signal)
    const page = await feed.readPage(from, pageEvents)
    const within = until === null ? page : pageUntil(page, until, feed)
    if (within.position === from) {
      await pages.written()
      await checkpoints.storePassedOver()
      return 'idle'
    }
    gathering?.count(within.events.length)
    const rows = await applyPage([...group.keys()], knownEvents(within.events), store, 'live')
    await pages.next(() => write(group, within, rows))
    if (within !== page || page.events.length === pageEvents) return 'busy'
    // After a page that is not full there is nothing more until the feed tells of it.
    await pages.written()
    return 'idle'
  }

  const loop = repeat({
    name: `projector of ${projections.map(({ name }) => name).join(', ')}`,
    clock,
    report,
    idle: (signal) => feed.wait(checkpoints.hasPassedOver ? unstoredMs : idleMs, signal),
    turn: async (signal) => {
      try {
        return await turn(signal)
      } catch (error) {
        await pages.settle()
        checkpoints.forget()
        if (!(error instanceof CheckpointMoved)) throw error
        report('warn', { err: error }, 'another process moves the read models')
        await clock.sleep(idleMs, signal)
        return 'idle'
      }
    },
  })
  return {
    ...loop,
    stop: async (signal) => {
      await loop.stop(signal)
      await pages.settle()
    },
  }
}

/** How far a read model has read, and the checkpoint that the store has of it. */
type Stand = { read: string | null; stored: string | null }
type Stands = ReadonlyMap<Projection, Stand>

class Checkpoints {
  readonly #options: ProjectorOptions
  #stands: Stands | null = null
  /** When a page was passed over last, ms since the epoch, while its checkpoint is not stored. */
  #passedOverAt: number | null = null

  constructor(options: ProjectorOptions) {
    this.#options = options
  }

  get hasPassedOver(): boolean {
    return this.#passedOverAt !== null
  }

  /** Where the read models stand, as the store has it when nothing is known. */
  async stands(): Promise<Stands> {
    this.#stands ??= await this.#load()
    return this.#stands
  }

  /** After a failure what is in memory may be behind: what is stored counts. */
  forget(): void {
    this.#stands = null
    this.#passedOverAt = null
  }

  /** Nothing changes up to there. */
  passOver(group: Stands, to: string): void {
    for (const stand of group.values()) stand.read = to
    this.#passedOverAt = this.#options.clock.now()
  }

  /** @throws CheckpointMoved when another process was faster */
  async commit(group: Stands, to: string, changes: readonly TableChange[]): Promise<void> {
    for (const stand of group.values()) stand.read = to
    await this.#store(group, changes)
  }

  /** Stores what was passed over, once nothing has come for a while. */
  async storePassedOver(): Promise<void> {
    const { clock } = this.#options
    if (this.#passedOverAt === null) return
    if (isRecent(this.#passedOverAt, clock.now(), unstoredMs)) return
    const all = [...(await this.stands())]
    const unstored = all.filter(([, { read, stored }]) => read !== stored)
    if (unstored.length > 0) await this.#store(new Map(unstored), [])
    this.#passedOverAt = null
  }

  async #load(): Promise<Stands> {
    const { store, projections, share } = this.#options
    const loaded = new Map<Projection, Stand>()
    for (const projection of projections) {
      const { name, version } = projection
      const stored = await store.checkpoint(name, version, 'live', share)
      loaded.set(projection, { read: stored, stored })
    }
    return loaded
  }

  async #store(group: Stands, changes: readonly TableChange[]): Promise<void> {
    const { store, share } = this.#options
    const shared = share === undefined ? {} : { share }
    const moves = [...group].flatMap(([{ name, version }, { read, stored }]) =>
      read === null ? [] : [{ name, version, ...shared, from: stored, to: read }],
    )
    await store.commit(moves, changes, 'live')
    for (const stand of group.values()) stand.stored = stand.read
  }
}

/** The read models that are furthest behind, and how far the next page may go. */
function nextGroup(stands: Stands, feed: EventFeed) {
  const at = ({ read }: Stand): string => read ?? feed.start
  const positions = [...stands.values()].map(at).sort((a, b) => feed.compare(a, b))
  const from = positions[0] ?? feed.start
  const until = positions.find((position) => feed.compare(position, from) > 0) ?? null
  const group = new Map([...stands].filter(([, stand]) => feed.compare(at(stand), from) === 0))
  return { group, from, until }
}
