import type { Recorded } from '../domain/catalog.ts'
import type { JobEvent } from '../domain/job/job-events.ts'
import type { JobStatus } from '../domain/job/job.ts'
import type { Json, JsonObject } from '../domain/json.ts'
import { follows } from './hole-alarm.ts'
import type { HoleAlarm } from './hole-alarm.ts'
import { defineTable } from './projection.ts'
import type { Projection, Rows } from './projection.ts'

/** One row per job: what lists and admin reports show. */
export type JobStatusRow = {
  readonly jobId: string
  readonly orgId: string
  readonly userId: string | null
  readonly jobType: string
  readonly status: JobStatus
  readonly progress: number
  readonly attempt: number
  readonly revision: number
  readonly priority: string
  readonly metadata: JsonObject
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly result: Json
  readonly error: Json
}

export const jobStatusTable = defineTable<JobStatusRow>({
  name: 'job_status',
  key: 'jobId',
  columns: {
    jobId: 'text',
    orgId: 'text',
    userId: 'text',
    jobType: 'text',
    status: 'text',
    progress: 'int',
    attempt: 'int',
    revision: 'int',
    priority: 'text',
    metadata: 'json',
    createdAt: 'time',
    startedAt: 'time',
    finishedAt: 'time',
    result: 'json',
    error: 'json',
  },
  appendOnly: false,
})

const name = 'job_status'
const isFirst = (event: Recorded): boolean => event.type === 'JobSubmitted'

export function jobStatus(alarm: HoleAlarm): Projection {
  /** Changes the row of the event's job, once per revision. */
  const change = (event: Recorded<JobEvent>, rows: Rows, to: Partial<JobStatusRow>): void => {
    const row = rows.get(jobStatusTable, event.stream.slice('job-'.length))
    if (!row)
      return alarm({ projection: name, stream: event.stream, seen: -1, got: event.revision })
    if (follows(alarm, name, event, row.revision) === 'seen') return
    rows.put(jobStatusTable, { ...row, ...to, revision: event.revision })
  }
  const ended = (status: JobStatus, finishedAt: string) => ({ status, finishedAt })

  return {
    name,
    version: 1,
    order: 'org',
    rebuildable: true,
    tables: [jobStatusTable],
    reads: (event) =>
      event.stream.startsWith('job-')
        ? [{ table: jobStatusTable, key: event.stream.slice('job-'.length), isNew: isFirst(event) }]
        : [],
    handlers: {
      JobSubmitted: ({ data, revision }, rows) => {
        if (rows.get(jobStatusTable, data.jobId)) return
        const { jobId, orgId, userId, jobType, priority, metadata, submittedAt } = data
        rows.put(jobStatusTable, {
          ...{ jobId, orgId, userId, jobType, priority, metadata, revision },
          ...{ status: 'queued', progress: 0, attempt: 0, createdAt: submittedAt },
          ...{ startedAt: null, finishedAt: null, result: null, error: null },
        })
      },
      JobStarted: (event, rows) => {
        const { attempt, startedAt } = event.data
        const first = rows.get(jobStatusTable, event.stream.slice('job-'.length))?.startedAt
        change(event, rows, { status: 'running', attempt, startedAt: first ?? startedAt })
      },
      JobStepCompleted: (event, rows) => {
        const seen = rows.get(jobStatusTable, event.stream.slice('job-'.length))?.progress ?? 0
        change(event, rows, { progress: Math.max(seen, event.data.progress) })
      },
      JobRetryScheduled: (event, rows) =>
        change(event, rows, { status: 'queued', error: event.data.error }),
      JobCancelRequested: (event, rows) => change(event, rows, {}),
      JobSucceeded: (event, rows) => {
        const { result, finishedAt } = event.data
        const to = { ...ended('succeeded', finishedAt), result, error: null, progress: 100 }
        change(event, rows, to)
      },
      JobFailed: (event, rows) => {
        const { error, finishedAt } = event.data
        change(event, rows, { ...ended('failed', finishedAt), error })
      },
      JobCanceled: (event, rows) => change(event, rows, ended('canceled', event.data.finishedAt)),
      JobExpired: (event, rows) => change(event, rows, ended('expired', event.data.finishedAt)),
      JobRequeued: (event, rows) =>
        change(event, rows, { status: 'queued', finishedAt: null, error: null }),
    },
  }
}
