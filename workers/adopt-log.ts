import type { Pipelines } from '../domain/aggregates.ts'
import type { Recorded } from '../domain/catalog.ts'
import { DomainError } from '../domain/errors.ts'
import { jobStream } from '../domain/job/job.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { DeliveryStore } from '../domain/ports/delivery-store.ts'
import type { EventFeed } from '../domain/ports/event-feed.ts'
import type { Lease, LeaseStore } from '../domain/ports/lease-store.ts'
import type { ReadModelStore, Row, Table } from '../domain/ports/read-model-store.ts'
import { applyPage, knownEvents } from '../projections/page.ts'
import type { Projection } from '../projections/projection.ts'
import { CachedRows } from './cached-rows.ts'
import { rowsOf } from './rows-of.ts'

/** Events per page at most. */
const pageEventsMax = 1_000
/** What is told of webhooks that the weir before has sent, or was about to send. */
const parkedError = 'adopted'

export type AdoptOptions = {
  readonly feed: EventFeed
  readonly store: ReadModelStore
  readonly projections: readonly Projection[]
  /** The read model of live jobs. */
  readonly queue: Table
  readonly leases: LeaseStore
  readonly deliveries: DeliveryStore
  readonly pipelines: Pick<Pipelines, 'jobs'>
  readonly clock: Clock
}

export type Adopted = {
  readonly events: number
  /** Where the read models stand; null when the log is empty. */
  readonly position: string | null
  /** Webhooks that nobody sends unless somebody asks for it. */
  readonly parked: number
  /** Jobs that ran, and are taken up again. */
  readonly running: number
}

/**
 * Makes a database with no read models the database of a log that has a history: one that was
 * imported, or one whose Postgres was lost. Read models are built to its end; webhooks of that
 * history are parked instead of sent a second time; jobs that ran get leases that are over, so that
 * the rescuer ends their attempts; and leases go on beyond every epoch of the log, which fences by
 * them. No role may run meanwhile. An interrupted run is gone on with.
 *
 * @throws DomainError when the read models are those of a running weir
 */
export async function adoptLog(options: AdoptOptions): Promise<Adopted> {
  const { deliveries, leases, clock } = options
  const { events, epochMax, position } = await build(options)
  const parked = await deliveries.parkAll(parkedError, clock.now())
  const running = await runningJobs(options)
  await leases.adopt(running, epochMax)
  return { events, position, parked, running: running.length }
}

/**
 * Whether no weir has run on this database yet: its read models were never started, or only by
 * `adoptLog`, which may have been interrupted.
 */
export async function isToAdopt(
  store: ReadModelStore,
  projections: readonly Projection[],
): Promise<boolean> {
  return (await adoptedSoFar(store, projections)) !== undefined
}

async function build(options: AdoptOptions) {
  const { feed, projections } = options
  const store = new CachedRows(options.store)
  let at = await whereInterrupted(store, projections)
  let [events, epochMax] = [0, 0]
  for (let place = feed.start; ;) {
    const page = await feed.readPage(place, pageEventsMax)
    if (page.position === place) return { events, epochMax, position: at }
    place = page.position
    const from = at
    const known = knownEvents(page.events)
    const fresh = known.filter(({ position }) => from === null || feed.compare(position, from) > 0)
    events += page.events.length
    epochMax = Math.max(epochMax, ...known.map(epochOf))
    if (from !== null && feed.compare(place, from) <= 0) continue
    const rows = await applyPage(projections, fresh, store, 'live')
    const moves = projections.map(({ name, version }) => ({ name, version, from, to: place }))
    await store.commit(moves, rows.changes(), 'live')
    at = place
  }
}

async function whereInterrupted(
  store: ReadModelStore,
  projections: readonly Projection[],
): Promise<string | null> {
  const stand = await adoptedSoFar(store, projections)
  if (stand !== undefined) return stand
  throw new DomainError('conflict', 'These read models belong to a weir that has run.')
}

/**
 * Where all read models stand, which only this work carries together; null at the beginning, and
 * undefined when a weir has carried them on.
 */
async function adoptedSoFar(
  store: ReadModelStore,
  projections: readonly Projection[],
): Promise<string | null | undefined> {
  const all = await Promise.all(projections.map(({ name, version }) => store.stands(name, version)))
  const whole = all.map((stands) => stands.get('') ?? null)
  const [first = null] = whole
  const hasShares = all.some((stands) => [...stands.keys()].some((share) => share !== ''))
  return hasShares || whole.some((stand) => stand !== first) ? undefined : first
}

function epochOf(event: Recorded): number {
  return event.type === 'JobStarted' ? event.data.epoch : 0
}

async function runningJobs({ store, queue, pipelines }: AdoptOptions): Promise<readonly Lease[]> {
  const rows = await store.snapshot(async (live) => {
    const running: Row[] = []
    for await (const row of rowsOf(live, queue)) if (row['state'] === 'running') running.push(row)
    return running
  })
  const leases = await Promise.all(
    rows.map(async ({ jobId, orgId, jobType }) => {
      if (typeof jobId !== 'string' || typeof orgId !== 'string') return []
      const { state } = await pipelines.jobs.load(jobStream(jobId))
      if (state.status !== 'running' || typeof jobType !== 'string') return []
      return [{ jobId, orgId, jobType, epoch: state.epoch }]
    }),
  )
  return leases.flat()
}
