import type { Recorded } from '../domain/catalog.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { EventFeed } from '../domain/ports/event-feed.ts'
import { CheckpointMoved } from '../domain/ports/read-model-store.ts'
import type { ReadModelStore, TableChange } from '../domain/ports/read-model-store.ts'
import { applyPage, knownEvents, pageUntil } from '../projections/page.ts'
import type { Projection } from '../projections/projection.ts'
import type { Loop, LoopReport } from './loop.ts'
import { repeat } from './repeat.ts'
import type { Turn } from './repeat.ts'

/** Events per page at most. */
const pageEventsMax = 1_000
/** The feed's hint may be lost; then this is how late a read model is, ms. */
const idleMs = 500

export type ProjectorOptions = {
  readonly feed: EventFeed
  readonly store: ReadModelStore
  readonly projections: readonly Projection[]
  /** The share of the log that the feed has; absent when it has all of it. */
  readonly share?: string
  readonly clock: Clock
  readonly report: LoopReport
  /** Called after a page is committed: announcements and signals, which may be lost. */
  readonly committed: (events: readonly Recorded[], changes: readonly TableChange[]) => void
}

/**
 * Carries the log into the read models, a page at a time: rows and checkpoints of all read models
 * that stand at the same place change in one transaction. One that is behind catches up first.
 */
export function projector(options: ProjectorOptions): Loop {
  const { feed, store, projections, share, clock, report, committed } = options
  const shared = share === undefined ? {} : { share }
  let stands: Map<Projection, string | null> | null = null

  const loadStands = async (): Promise<Map<Projection, string | null>> => {
    const loaded = new Map<Projection, string | null>()
    for (const projection of projections) {
      const { name, version } = projection
      loaded.set(projection, await store.checkpoint(name, version, 'live', share))
    }
    return loaded
  }

  const turn = async (): Promise<Turn> => {
    stands ??= await loadStands()
    const { group, from, until } = nextGroup(stands, feed)
    const page = await feed.readPage(from, pageEventsMax)
    const within = until === null ? page : pageUntil(page, until, feed)
    if (within.position === from) return 'idle'
    const events = knownEvents(within.events)
    const members = group.map(({ projection }) => projection)
    const rows = await applyPage(members, events, store, 'live')
    const to = within.position
    const moves = group.map(({ projection, at }) => {
      const { name, version } = projection
      return { name, version, ...shared, from: at, to }
    })
    const changes = rows.changes()
    await store.commit(moves, changes, 'live')
    for (const { projection } of group) stands.set(projection, to)
    committed(events, changes)
    return 'busy'
  }

  return repeat({
    name: `projector of ${projections.map(({ name }) => name).join(', ')}`,
    clock,
    report,
    idle: (signal) => feed.wait(idleMs, signal),
    turn: async (signal) => {
      try {
        return await turn()
      } catch (error) {
        // Whatever happened, what is in memory may be behind: start from what is stored.
        stands = null
        if (!(error instanceof CheckpointMoved)) throw error
        report('warn', { err: error }, 'another process moves the read models')
        await clock.sleep(idleMs, signal)
        return 'idle'
      }
    },
  })
}

/** The read models that are furthest behind, and how far the next page may go. */
function nextGroup(stands: ReadonlyMap<Projection, string | null>, feed: EventFeed) {
  const standing = [...stands].map(([projection, at]) => ({ projection, at }))
  const positions = standing.map(({ at }) => at ?? feed.start).sort((a, b) => feed.compare(a, b))
  const from = positions[0] ?? feed.start
  const until = positions.find((position) => feed.compare(position, from) > 0) ?? null
  const group = standing.filter(({ at }) => feed.compare(at ?? feed.start, from) === 0)
  return { from, until, group }
}
