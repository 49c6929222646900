import { DomainError } from '../domain/errors.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { EventFeed } from '../domain/ports/event-feed.ts'
import { CheckpointMoved } from '../domain/ports/read-model-store.ts'
import type { ReadModelStore } from '../domain/ports/read-model-store.ts'
import { applyPage, knownEvents, pageUntil } from '../projections/page.ts'
import type { Projection } from '../projections/projection.ts'
import { CachedRows } from './cached-rows.ts'
import type { LoopReport } from './loop.ts'
import { WriteBehind } from './write-behind.ts'

/** Events per page: rows that change many times in a page are written once. */
const pageEventsByDefault = 5_000
/** Pages between two words about how far it is. */
const reportEveryPages = 20
/** A live read model that moves on is chased so often at most. */
const chasesMax = 10_000
/** How often is looked whether another process has rebuilt a read model, ms. */
const lookEveryMs = 1_000
/** After so many looks at which the other one stood still it is taken for dead. */
const standstillsMax = 60

export type RebuildOptions = {
  readonly feed: EventFeed
  readonly store: ReadModelStore
  readonly projection: Projection
  readonly report: LoopReport
  /** Events per page at most; some thousand when absent. */
  readonly pageEvents?: number
}

/**
 * Builds a read model anew from the start of the log, beside the live one, and puts it in its
 * place. Everything else may go on meanwhile: readers see the live rows, and a projector carries
 * them on, until no share of them stands beyond the new rows.
 *
 *   live  ──────●───●──●────▶ (projector)
 *   next  ▶▶▶▶▶▶▶▶▶▶▶▶▶●      (rebuild, up to where live was last seen)  ─▶ swap
 *
 * @throws DomainError when the read model cannot be rebuilt, or never stood still long enough
 */
export async function rebuild(options: RebuildOptions): Promise<void> {
  try {
    await buildOnce(options)
  } catch (error) {
    if (!(error instanceof CheckpointMoved)) throw error
    const { name } = options.projection
    const detail = `Another rebuild of ${name} has begun, or a migration has ended this one.`
    throw new DomainError('conflict', detail)
  }
}

/** @throws CheckpointMoved when another rebuild has begun meanwhile, or a migration came */
async function buildOnce(options: RebuildOptions): Promise<void> {
  const { projection, report } = options
  const { name, tables } = projection
  refuseWork(projection)
  const store = new CachedRows(options.store)
  await store.beginRebuild(name, tables)
  report('info', { projection: name }, 'rebuild began')
  const position = await chase({ ...options, store })
  report('info', { projection: name, position }, 'rebuild took its place')
}

export type RebuildOutdatedOptions = Omit<RebuildOptions, 'projection'> & { readonly clock: Clock }

/**
 * Rebuilds every read model that this version of weir shapes anew, before the projector starts: it
 * could not go on from rows of another shape. A new installation has none. Of several processes
 * that start together the last one to begin builds, and the others wait for it: were each to begin
 * again, none would ever end.
 */
export async function rebuildOutdated(
  options: RebuildOutdatedOptions,
  projections: readonly Projection[],
): Promise<void> {
  const { store } = options
  const isBegun = async ({ name, version }: Projection): Promise<boolean> =>
    (await store.stands(name, version)).size > 0
  const begun = await Promise.all(projections.map(isBegun))
  if (!begun.includes(true)) return
  for (const projection of projections) {
    while (!(await isBegun(projection))) {
      try {
        await buildOnce({ ...options, projection })
      } catch (error) {
        if (!(error instanceof CheckpointMoved)) throw error
        await otherRebuild(options, projection)
      }
    }
  }
}

/** Resolves when another process has rebuilt the read model, or stands still. */
async function otherRebuild(
  { store, clock, report }: RebuildOutdatedOptions,
  { name, version }: Projection,
): Promise<void> {
  report('info', { projection: name }, 'another process rebuilds it')
  let seen: string | null = null
  for (let standstills = 0; standstills < standstillsMax; standstills += 1) {
    await clock.sleep(lookEveryMs)
    if ((await store.stands(name, version)).size > 0) return
    const position = await store.checkpoint(name, version, 'next')
    if (position !== seen) standstills = 0
    seen = position
  }
}

/** Builds until no share of the live one stands beyond and both have changed places. */
async function chase(options: RebuildOptions): Promise<string> {
  const { feed, store, projection } = options
  const { name, version, tables } = projection
  let stand: string | null = null
  for (let chases = 0; chases < chasesMax; chases += 1) {
    const stands = [...(await store.stands(name, version)).values()]
    // A live one that this version never moved is replaced wherever it stands.
    const furthest = stands.sort((a, b) => feed.compare(a, b)).at(-1)
    stand = await carry(options, stand, furthest ?? (await feed.head()))
    const compare = (a: string, b: string): number => feed.compare(a, b)
    if (await store.swap({ name, version, tables, compare })) return stand
    if ((await store.checkpoint(name, version, 'next')) !== stand) throw new CheckpointMoved()
  }
  throw new DomainError('unavailable', `${name} moves on too fast; try again at a quieter time.`)
}

/** Carries the `next` rows from where they stand to `target`. Returns where they then stand. */
async function carry(
  { feed, store, projection, report, pageEvents = pageEventsByDefault }: RebuildOptions,
  from: string | null,
  target: string,
): Promise<string> {
  const { name, version } = projection
  let stand = from
  const pages = new WriteBehind()
  for (let count = 1; stand === null || feed.compare(stand, target) < 0; count += 1) {
    const page = await feed.readPage(stand ?? feed.start, pageEvents)
    const { events, position } = pageUntil(page, target, feed)
    if (position === stand) break
    const rows = await applyPage([projection], knownEvents(events), store, 'next')
    const move = { name, version, from: stand, to: position }
    await pages.next(() => store.commit([move], rows.changes(), 'next'))
    stand = position
    if (count % reportEveryPages === 0) {
      report('info', { projection: name, position, target }, 'rebuild goes on')
    }
  }
  await pages.written()
  return stand
}

function refuseWork({ name, rebuildable }: Projection): void {
  if (rebuildable) return
  const detail = 'its rows are work to do, which would be done a second time.'
  throw new DomainError('conflict', `${name} cannot be rebuilt: ${detail}`)
}
