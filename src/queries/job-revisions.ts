import { isoTime } from '../../domain/ports/clock.ts'
import type { Sql } from './sql.ts'

/** How far the read model has followed a job. */
export type JobRevision = { readonly jobId: string; readonly revision: number }

/** More jobs than this are not listed at once. */
const listedMax = 10_000

/** Of these jobs; those that the read model does not know are missing. */
export async function revisionsOf(sql: Sql, jobIds: readonly string[]): Promise<JobRevision[]> {
  if (jobIds.length === 0) return []
  return sql<JobRevision>(
    'revisions-of-jobs',
    // Job by job: for `= ANY` Postgres reads the whole table when it believes that it is small.
    `SELECT job_id AS "jobId", status.revision FROM unnest($1::text[]) AS job (job_id)
     CROSS JOIN LATERAL (
       SELECT revision FROM job_status WHERE job_status.job_id = job.job_id
     ) AS status`,
    [jobIds],
  )
}

/** Of the newest jobs of an org that were submitted in a span of time, ms since 1970. */
export async function revisionsSince(
  sql: Sql,
  orgId: string,
  fromMs: number,
  toMs: number,
): Promise<JobRevision[]> {
  return sql<JobRevision>(
    'revisions-since',
    `SELECT job_id AS "jobId", revision FROM job_status
     WHERE org_id = $1 AND created_at >= $2 AND created_at < $3
     ORDER BY created_at DESC LIMIT ${listedMax}`,
    [orgId, isoTime(fromMs), isoTime(toMs)],
  )
}
