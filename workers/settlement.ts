import type { Pipelines } from '../domain/aggregates.ts'
import type { Recorded } from '../domain/catalog.ts'
import type { JobEvent } from '../domain/job/job-events.ts'
import { type Clock, isRecent } from '../domain/ports/clock.ts'
import type { EventFeed } from '../domain/ports/event-feed.ts'
import type { Ids } from '../domain/ports/ids.ts'
import { CheckpointMoved } from '../domain/ports/read-model-store.ts'
import type { ReadModelStore } from '../domain/ports/read-model-store.ts'
import { knownEvents } from '../projections/page.ts'
import type { Loop, LoopReport } from './loop.ts'
import { repeat } from './repeat.ts'
import type { Turn } from './repeat.ts'
import { settleHold } from './settle-hold.ts'
import type { JobEnding } from './settle-hold.ts'

const pageEventsMax = 1_000
const idleMs = 500
/** A worker that ended a job has this long to settle it, ms: its settling costs one append less. */
const workerGraceMs = 250
/** Between two stored checkpoints, ms. */
const storeEveryMs = 1_000
const checkpoint = { name: 'settlement', version: 1 }

export type SettlementOptions = {
  readonly feed: EventFeed
  readonly store: ReadModelStore
  readonly pipelines: Pick<Pipelines, 'accounts'>
  readonly clock: Clock
  readonly ids: Ids
  readonly report: LoopReport
}

/**
 * Sees to it that every job that ended is settled: what was not used is free again. The worker that
 * ends a job settles it at once; here its settling is only awaited, and what was not settled in
 * time is settled here, as are jobs that ended without a worker. Settling is safe to repeat, so the
 * checkpoint may lag behind what was done.
 */
export function settlement(options: SettlementOptions): Loop {
  const { feed, store, pipelines, clock, ids, report } = options
  const { name, version } = checkpoint
  const ends = new UnsettledEnds()
  let stands: Stands | null = null
  let storedAt = -Infinity

  const settle = async (event: JobEnd): Promise<void> => {
    const { orgId, correlationId, traceparent } = event.meta
    const jobId = event.stream.slice('job-'.length)
    const { holdId } = event.data
    const commandId = ids.derive('settle', event.id)
    const context = { commandId, orgId, actor: 'system:settlement', correlationId, traceparent }
    await settleHold(pipelines, { jobId, holdId, ending: endings[event.type] }, context)
    ends.settled(holdId)
  }

  const storeStand = async (moving: Stands): Promise<void> => {
    const to = ends.since() ?? moving.read
    if (to === moving.stored || isRecent(storedAt, clock.now(), storeEveryMs)) return
    await store.commit([{ name, version, from: moving.stored, to }], [], 'live')
    moving.stored = to
    storedAt = clock.now()
  }

  const turn = async (): Promise<Turn> => {
    if (!stands) {
      const stored = await store.checkpoint(name, version, 'live')
      ends.clear()
      stands = { stored, read: stored ?? feed.start }
    }
    const page = await feed.readPage(stands.read, pageEventsMax)
    for (const event of knownEvents(page.events)) ends.see(event, stands.read, clock.now())
    stands.read = page.position
    await Promise.all(ends.due(clock.now()).map(settle))
    await storeStand(stands)
    return page.events.length < pageEventsMax ? 'idle' : 'busy'
  }

  return repeat({
    name,
    clock,
    report,
    idle: (signal) => feed.wait(ends.since() === null ? idleMs : workerGraceMs, signal),
    turn: async () => {
      try {
        return await turn()
      } catch (error) {
        stands = null
        if (error instanceof CheckpointMoved) return 'idle'
        throw error
      }
    },
  })
}

/** Where the stored checkpoint stands, and how far the log was read. */
type Stands = { stored: string | null; read: string }

type UnsettledEnd = {
  readonly event: JobEnd
  /** ms since the epoch. */
  readonly seenAt: number
  /** Where the page of the event begins. */
  readonly from: string
}

/** Ends of jobs whose settling was not seen yet, in the order of the log. */
class UnsettledEnds {
  readonly #ends = new Map<string, UnsettledEnd>()

  /** @param from where the page of the event begins */
  see(event: Recorded, from: string, now: number): void {
    if (event.type === 'HoldSettled') this.settled(event.data.holdId)
    if (!isJobEnd(event)) return
    this.#ends.set(event.data.holdId, { event, seenAt: now, from })
  }

  settled(holdId: string): void {
    this.#ends.delete(holdId)
  }

  /** Those that are to be settled here, at that time in ms since the epoch. */
  due(now: number): readonly JobEnd[] {
    const isDue = ({ event, seenAt }: UnsettledEnd): boolean =>
      event.meta.actor !== 'worker' || !isRecent(seenAt, now, workerGraceMs)
    return [...this.#ends.values()].filter(isDue).map(({ event }) => event)
  }

  /** Where the oldest one will be found again; null when there is none. */
  since(): string | null {
    const [oldest] = this.#ends.values()
    return oldest?.from ?? null
  }

  clear(): void {
    this.#ends.clear()
  }
}

const endings = {
  JobSucceeded: 'succeeded',
  JobFailed: 'failed',
  JobCanceled: 'canceled',
  JobExpired: 'expired',
} as const satisfies Record<string, JobEnding>

type JobEnd = Recorded<Extract<JobEvent, { type: keyof typeof endings }>>

function isJobEnd(event: Recorded): event is JobEnd {
  return Object.hasOwn(endings, event.type)
}
