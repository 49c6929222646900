import type { Used } from '../../domain/account/quota.ts'
import { invalid } from '../../domain/errors.ts'
import type { JsonObject } from '../../domain/json.ts'
import { page, pageRequest, textParam, timeParam } from '../http/paging.ts'
import type { Page, Query } from '../http/paging.ts'
import type { Sql } from './sql.ts'

/** One provider call. */
export type UsageView = {
  readonly usageId: string
  readonly jobId: string
  readonly userId: string | null
  readonly provider: string
  readonly model: string | null
  readonly units: JsonObject
  readonly ms: number
  readonly costNanoUsd: string
  readonly chargedMicro: string
  readonly priceVersion: number
  readonly at: string
}

// $1 org, $2 job, $3 user, $4 provider, $5 from, $6 to, $7 $8 after (at, id), $9 limit. Bounds
// stand where an index takes them, also in a plan that is kept.
const listStatement = `
  SELECT usage_id AS "usageId", job_id AS "jobId", user_id AS "userId", provider, model, units, ms,
    cost_nano_usd::text AS "costNanoUsd", charged_micro::text AS "chargedMicro",
    price_version AS "priceVersion", called_at AS at
  FROM usage_entry
  WHERE org_id = $1
    AND ($2::text IS NULL OR job_id = $2)
    AND ($3::text IS NULL OR user_id = $3)
    AND ($4::text IS NULL OR provider = $4)
    AND called_at >= coalesce($5::timestamptz, '-infinity')
    AND called_at < coalesce($6::timestamptz, 'infinity')
    AND (called_at, usage_id) < (coalesce($7::timestamptz, 'infinity'), coalesce($8, ''))
  ORDER BY called_at DESC, usage_id DESC
  LIMIT $9`

/** Provider calls of an org, newest first. */
export async function listUsage(sql: Sql, orgId: string, query: Query): Promise<Page<UsageView>> {
  const filters = [
    orgId,
    textParam(query, 'jobId'),
    textParam(query, 'userId'),
    textParam(query, 'provider'),
    timeParam(query, 'from'),
    timeParam(query, 'to'),
  ]
  const request = pageRequest(query, ['usage', ...filters])
  const [at = null, usageId = null] = request.after ?? []
  const values = [...filters, at, usageId, request.limit + 1]
  const rows = await sql<UsageView>('list-usage', listStatement, values)
  return page(
    rows,
    request,
    (row) => [row.at, row.usageId],
    (row) => row,
  )
}

/** The calls that a job has made, as far as the read model knows. */
export function usedBy(sql: Sql, jobId: string): Promise<readonly Used[]> {
  const text = `SELECT provider, units, charged_micro::text AS "chargedMicro"
    FROM usage_entry WHERE job_id = $1`
  return sql<Used>('job-usage', text, [jobId])
}

const groups = {
  provider: 'provider',
  model: 'model',
  userId: 'user_id',
  jobType: 'job_type',
  day: `to_char(called_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')`,
} as const

/** What a summary can be made by. */
export const usageGroups = Object.keys(groups)

const isGroup = (name: string): name is keyof typeof groups => Object.hasOwn(groups, name)

export type UsageSummary = {
  readonly key: string | null
  readonly calls: number
  readonly units: JsonObject
  readonly ms: number
  readonly costNanoUsd: string
  readonly chargedMicro: string
}

/** Values of a property that are summed up at once: more would be an answer of many megabytes. */
export const usageGroupsMax = 10_000

/**
 * Usage of an org, summed by one property.
 *
 * @throws DomainError `invalid_request`, also when the property has too many values
 */
export async function summarizeUsage(
  sql: Sql,
  orgId: string,
  query: Query,
): Promise<{ items: readonly UsageSummary[] }> {
  const groupBy = textParam(query, 'groupBy') ?? 'provider'
  if (!isGroup(groupBy)) {
    const detail = `must be one of ${usageGroups.join(', ')}`
    throw invalid('invalid_request', [{ pointer: '?groupBy', detail }])
  }
  const key = groups[groupBy]
  const items = await sql<UsageSummary>(
    `summarize-usage-${groupBy}`,
    `WITH chosen AS (
       SELECT ${key} AS key, units, ms, cost_nano_usd, charged_micro FROM usage_entry
       WHERE org_id = $1
         AND called_at >= coalesce($2::timestamptz, '-infinity')
         AND called_at < coalesce($3::timestamptz, 'infinity')
     ), total AS (
       SELECT key, count(*)::int AS calls, sum(ms)::float8 AS ms,
         sum(cost_nano_usd) AS cost_nano_usd, sum(charged_micro) AS charged_micro
       FROM chosen GROUP BY key LIMIT $4
     ), unit AS (
       SELECT c.key, u.key AS unit, sum(u.value::numeric)::text AS count
       FROM chosen c, json_each_text(c.units) u GROUP BY c.key, u.key
     ), units AS (
       SELECT key, json_object_agg(unit, count) AS units FROM unit GROUP BY key
     )
     SELECT t.key, t.calls, coalesce(u.units, '{}') AS units, t.ms,
       t.cost_nano_usd::text AS "costNanoUsd", t.charged_micro::text AS "chargedMicro"
     FROM total t LEFT JOIN units u
       ON coalesce(u.key, '') = coalesce(t.key, '') AND (u.key IS NULL) = (t.key IS NULL)
     ORDER BY t.charged_micro DESC, t.key`,
    [orgId, timeParam(query, 'from'), timeParam(query, 'to'), usageGroupsMax + 1],
  )
  if (items.length > usageGroupsMax) {
    const detail = `has more than ${usageGroupsMax} values there: narrow \`from\` and \`to\``
    throw invalid('invalid_request', [{ pointer: '?groupBy', detail }])
  }
  return { items }
}
