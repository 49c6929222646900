import { accountStream } from '../domain/account/account.ts'
import type { Pipelines } from '../domain/aggregates.ts'
import type { Recorded } from '../domain/catalog.ts'
import type { JobEvent } from '../domain/job/job-events.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { EventFeed } from '../domain/ports/event-feed.ts'
import type { Ids } from '../domain/ports/ids.ts'
import { CheckpointMoved } from '../domain/ports/read-model-store.ts'
import type { ReadModelStore } from '../domain/ports/read-model-store.ts'
import { knownEvents } from '../projections/page.ts'
import type { Loop, LoopReport } from './loop.ts'
import { repeat } from './repeat.ts'
import type { Turn } from './repeat.ts'

const pageEventsMax = 1_000
const idleMs = 500
/** Ends of jobs are settled a little later and together; nobody waits for it, ms. */
const gatherMs = 20
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
 * Reacts to the end of a job by settling its hold: what was not used is free again. The settling
 * command is safe to repeat, so the checkpoint may lag behind what was done.
 */
export function settlement(options: SettlementOptions): Loop {
  const { feed, store, pipelines, clock, ids, report } = options
  let stand: string | null = null

  const settle = async (event: JobEnd): Promise<void> => {
    const { orgId, correlationId, traceparent } = event.meta
    const jobId = event.stream.slice('job-'.length)
    const commandId = ids.derive('settle', event.id)
    const context = { commandId, orgId, actor: 'system:settlement', correlationId, traceparent }
    const { holdId } = event.data
    const command = { type: 'SettleHold' as const, jobId, holdId, outcome: outcomes[event.type] }
    await pipelines.accounts.handle(accountStream(orgId), command, context)
  }

  const turn = async (): Promise<Turn> => {
    const { name, version } = checkpoint
    stand ??= await store.checkpoint(name, version, 'live')
    const from = stand
    const { events, position } = await feed.readPage(from ?? feed.start, pageEventsMax)
    if (events.length === 0) return 'idle'
    await Promise.all(knownEvents(events).filter(isJobEnd).map(settle))
    await store.commit([{ name, version, from, to: position }], [], 'live')
    stand = position
    await clock.sleep(gatherMs)
    return 'busy'
  }

  return repeat({
    name: 'settlement',
    clock,
    report,
    idle: (signal) => feed.wait(idleMs, signal),
    turn: async () => {
      try {
        return await turn()
      } catch (error) {
        stand = null
        if (error instanceof CheckpointMoved) return 'idle'
        throw error
      }
    },
  })
}

const outcomes = {
  JobSucceeded: 'succeeded',
  JobFailed: 'failed',
  JobCanceled: 'canceled',
  JobExpired: 'expired',
} as const

type JobEnd = Recorded<Extract<JobEvent, { type: keyof typeof outcomes }>>

function isJobEnd(event: Recorded): event is JobEnd {
  return Object.hasOwn(outcomes, event.type)
}
