import type { JobError, JobResult } from '../../domain/job/job-events.ts'
import type { JobStatus } from '../../domain/job/job.ts'
import { jobUrls, resultView } from '../../domain/job/job-view.ts'
import type { JobView } from '../../domain/job/job-view.ts'
import type { JsonObject } from '../../domain/json.ts'
import { choiceParam, page, pageRequest, textParam, timeParam } from '../http/paging.ts'
import type { Page, Query } from '../http/paging.ts'
import type { Runtime } from '../runtime.ts'

export const jobStatuses: readonly JobStatus[] = [
  'queued',
  'running',
  'succeeded',
  'failed',
  'canceled',
  'expired',
]

type Row = {
  readonly jobId: string
  readonly orgId: string
  readonly userId: string | null
  readonly jobType: string
  readonly status: JobStatus
  readonly progress: number
  readonly attempt: number
  readonly revision: number
  readonly metadata: JsonObject
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly result: JobResult | null
  readonly error: JobError | null
  readonly held: string
  readonly charged: string
}

// $1 org or null, $2 status, $3 type, $4 user, $5 from, $6 to, $7 $8 after (created, id), $9 limit
//
// Bounds stand where an index takes them, also in a plan that is kept: beside `$7 IS NULL OR` all
// that is newer would be read first. So does the org, or its absence.
const statementOf = (orgId: string | null): string => `
  SELECT j.job_id AS "jobId", j.org_id AS "orgId", j.user_id AS "userId", j.job_type AS "jobType",
    j.status, j.progress, j.attempt, j.revision, j.metadata, j.created_at AS "createdAt",
    j.started_at AS "startedAt", j.finished_at AS "finishedAt", j.result, j.error,
    coalesce(h.held, 0)::text AS held, coalesce(h.charged, 0)::text AS charged
  FROM job_status j
  LEFT JOIN LATERAL (
    SELECT sum(remaining) AS held, sum(charged) AS charged
    FROM credit_hold c WHERE c.job_id = j.job_id
  ) h ON true
  WHERE ${orgId === null ? '$1::text IS NULL' : 'j.org_id = $1'}
    AND ($2::text IS NULL OR j.status = $2)
    AND ($3::text IS NULL OR j.job_type = $3)
    AND ($4::text IS NULL OR j.user_id = $4)
    AND j.created_at >= coalesce($5::timestamptz, '-infinity')
    AND j.created_at < coalesce($6::timestamptz, 'infinity')
    AND (j.created_at, j.job_id) < (coalesce($7::timestamptz, 'infinity'), coalesce($8, ''))
  ORDER BY j.created_at DESC, j.job_id DESC
  LIMIT $9`

/** A job, and whose it is. */
export type OrgJobView = JobView & { readonly orgId: string }

type Ports = Pick<Runtime, 'sql' | 'config'>

/** The jobs of an org, newest first. */
export async function listJobs(
  { sql, config }: Ports,
  orgId: string,
  query: Query,
): Promise<Page<JobView>> {
  const { rows, request } = await readRows(sql, orgId, query)
  return page(rows, request, placeOf, (row) => showRow(row, config.publicUrl))
}

/** The jobs of every org, or of the one that the query names, which only operators may see. */
export async function listOrgJobs({ sql, config }: Ports, query: Query): Promise<Page<OrgJobView>> {
  const orgId = textParam(query, 'orgId')
  const { rows, request } = await readRows(sql, orgId, query)
  return page(rows, request, placeOf, (row) => {
    return { orgId: row.orgId, ...showRow(row, config.publicUrl) }
  })
}

async function readRows(sql: Runtime['sql'], orgId: string | null, query: Query) {
  const filters = [
    orgId,
    choiceParam(query, 'status', jobStatuses),
    textParam(query, 'type'),
    textParam(query, 'userId'),
    timeParam(query, 'from'),
    timeParam(query, 'to'),
  ]
  const request = pageRequest(query, ['jobs', ...filters])
  const [createdAt = null, jobId = null] = request.after ?? []
  const values = [...filters, createdAt, jobId, request.limit + 1]
  const name = orgId === null ? 'list-all-jobs' : 'list-jobs'
  return { rows: await sql<Row>(name, statementOf(orgId), values), request }
}

const placeOf = (row: Row): readonly string[] => [row.createdAt, row.jobId]

function showRow(row: Row, baseUrl: string): JobView {
  const { jobId, orgId: _, jobType: type, result, held, charged, ...job } = row
  const urls = jobUrls(jobId, baseUrl)
  return {
    ...{ jobId, type, ...job },
    result: result && resultView(result, urls.result),
    credits: { held, charged },
    urls,
  }
}
