import type { Recorded } from '../domain/catalog.ts'
import type { JobEvent, Priority } from '../domain/job/job-events.ts'
import { defineTable } from './projection.ts'
import type { Projection, RowRef, Rows } from './projection.ts'

/**
 * Live jobs only, in the order in which they may run: priority, then turn.
 *
 * Turns make it fair between orgs (start-time fair queueing, Goyal 1996): a job's turn is one
 * after its org's last one, but never before the turn that is being served now. An org that floods
 * the queue pushes only its own later jobs back.
 */
export type JobQueueRow = {
  readonly jobId: string
  readonly orgId: string
  readonly userId: string | null
  readonly jobType: string
  readonly state: 'queued' | 'running'
  /** 0 high, 1 normal, 2 low. */
  readonly priority: number
  readonly turn: number
  /** Not before this time; null for at once. */
  readonly runAt: string | null
  readonly deadlineAt: string | null
  readonly cancelRequested: boolean
  readonly revision: number
  readonly queuedAt: string
}

/** The last turn that an org was given; the row `*` holds the turn that is being served. */
export type QueueTurnRow = { readonly orgId: string; readonly turn: number }

export const jobQueueTable = defineTable<JobQueueRow>({
  name: 'job_queue',
  key: 'jobId',
  columns: {
    jobId: 'text',
    orgId: 'text',
    userId: 'text',
    jobType: 'text',
    state: 'text',
    priority: 'int',
    turn: 'int',
    runAt: 'time',
    deadlineAt: 'time',
    cancelRequested: 'bool',
    revision: 'int',
    queuedAt: 'time',
  },
  appendOnly: false,
})

export const queueTurnTable = defineTable<QueueTurnRow>({
  name: 'queue_turn',
  key: 'orgId',
  columns: { orgId: 'text', turn: 'int' },
  appendOnly: false,
})

const served = '*'
const rank: Record<Priority, number> = { high: 0, normal: 1, low: 2 }
const jobIdOf = (event: Recorded): string => event.stream.slice('job-'.length)

function reads(event: Recorded): readonly RowRef[] {
  if (!event.stream.startsWith('job-')) return []
  return [
    { table: jobQueueTable, key: jobIdOf(event), isNew: event.type === 'JobSubmitted' },
    { table: queueTurnTable, key: event.meta.orgId },
    { table: queueTurnTable, key: served },
  ]
}

function nextTurn(rows: Rows, orgId: string): number {
  const servedTurn = rows.get(queueTurnTable, served)?.turn ?? 0
  const lastTurn = rows.get(queueTurnTable, orgId)?.turn ?? 0
  const turn = Math.max(servedTurn, lastTurn + 1)
  rows.put(queueTurnTable, { orgId, turn })
  return turn
}

function change(event: Recorded<JobEvent>, rows: Rows, to: Partial<JobQueueRow>): void {
  const row = rows.get(jobQueueTable, jobIdOf(event))
  if (!row || event.revision <= row.revision) return
  rows.put(jobQueueTable, { ...row, ...to, revision: event.revision })
}

function leave(event: Recorded<JobEvent>, rows: Rows): void {
  const row = rows.get(jobQueueTable, jobIdOf(event))
  if (row && event.revision > row.revision) rows.remove(jobQueueTable, row.jobId)
}

type Entry = Omit<JobQueueRow, 'turn' | 'state' | 'cancelRequested' | 'userId'>

function enter(entry: Entry, userId: string | null, rows: Rows): void {
  const turn = nextTurn(rows, entry.orgId)
  rows.put(jobQueueTable, { ...entry, userId, turn, state: 'queued', cancelRequested: false })
}

export const jobQueue: Projection = {
  name: 'job_queue',
  version: 1,
  order: 'log',
  rebuildable: true,
  tables: [jobQueueTable, queueTurnTable],
  reads,
  handlers: {
    JobSubmitted: ({ data, revision }, rows) => {
      if (rows.get(jobQueueTable, data.jobId)) return
      const { jobId, orgId, jobType, runAt, deadlineAt, submittedAt } = data
      const entry = { jobId, orgId, jobType, runAt, deadlineAt, revision, queuedAt: submittedAt }
      enter({ ...entry, priority: rank[data.priority] }, data.userId, rows)
    },
    JobStarted: (event, rows) => {
      const row = rows.get(jobQueueTable, jobIdOf(event))
      const servedTurn = rows.get(queueTurnTable, served)?.turn ?? 0
      if (row && row.turn > servedTurn) {
        rows.put(queueTurnTable, { orgId: served, turn: row.turn })
      }
      change(event, rows, { state: 'running', runAt: null })
    },
    JobStepCompleted: (event, rows) => change(event, rows, {}),
    JobRetryScheduled: (event, rows) => {
      const { reason } = event.data
      const isDelayed = reason === 'error' || reason === 'postponed'
      const runAt = isDelayed ? event.data.runAt : null
      change(event, rows, { state: 'queued', runAt })
    },
    JobCancelRequested: (event, rows) => change(event, rows, { cancelRequested: true }),
    JobSucceeded: leave,
    JobFailed: leave,
    JobCanceled: leave,
    JobExpired: leave,
    JobRequeued: (event, rows) => {
      const seen = rows.get(jobQueueTable, jobIdOf(event))?.revision ?? -1
      if (event.revision <= seen) return
      const { jobId, orgId, userId, jobType, priority } = event.data.job
      const { requeuedAt, deadlineAt } = event.data
      const queued = { runAt: null, deadlineAt, revision: event.revision, queuedAt: requeuedAt }
      enter({ jobId, orgId, jobType, priority: rank[priority], ...queued }, userId, rows)
    },
  },
}
