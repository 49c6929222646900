import { isoTime } from '../../domain/ports/clock.ts'
import type { Sql } from './sql.ts'

/** How far the read model has followed a job. */
export type JobRevision = { readonly jobId: string; readonly revision: number }

/** More jobs of one org than this are not listed at once. */
const listedMax = 10_000

/** Of these jobs; those that the read model does not know are missing. */
export async function revisionsOf(sql: Sql, jobIds: readonly string[]): Promise<JobRevision[]> {
  if (jobIds.length === 0) return []
  return sql<JobRevision>(
    'revisions-of-jobs',
    // Job by job, which the limit says: a join Postgres does the other way round, when it believes
    // that the table is small, and reads all of it.
    `SELECT job_id AS "jobId", status.revision FROM unnest($1::text[]) AS job (job_id)
     CROSS JOIN LATERAL (
       SELECT revision FROM job_status WHERE job_status.job_id = job.job_id LIMIT 1
     ) AS status`,
    [jobIds],
  )
}

/** An org, and since when its jobs are asked for, ms since 1970. */
export type OrgSince = { readonly orgId: string; readonly fromMs: number }

/** Of the newest jobs of each org that were submitted before `toMs`. */
export async function revisionsSince(
  sql: Sql,
  orgs: readonly OrgSince[],
  toMs: number,
): Promise<(JobRevision & { readonly orgId: string })[]> {
  if (orgs.length === 0) return []
  return sql(
    'revisions-since',
    `SELECT org.id AS "orgId", status.job_id AS "jobId", status.revision
     FROM unnest($1::text[], $2::timestamptz[]) AS org (id, since)
     CROSS JOIN LATERAL (
       SELECT job_id, revision FROM job_status
       WHERE org_id = org.id AND created_at >= org.since AND created_at < $3
       ORDER BY created_at DESC LIMIT ${listedMax}
     ) AS status`,
    [orgs.map(({ orgId }) => orgId), orgs.map(({ fromMs }) => isoTime(fromMs)), isoTime(toMs)],
  )
}
