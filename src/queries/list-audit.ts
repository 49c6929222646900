import type { JsonObject } from '../../domain/json.ts'
import type { AuditAction } from '../../projections/audit.ts'
import { page, pageRequest, textParam, timeParam } from '../http/paging.ts'
import type { Page, Query } from '../http/paging.ts'
import type { Sql } from './sql.ts'

/** Who did what, why, before and after. */
export type AuditView = {
  readonly auditId: string
  readonly orgId: string | null
  readonly at: string
  readonly actor: string
  readonly action: AuditAction
  readonly details: JsonObject
  readonly reason: string | null
  readonly before: JsonObject | null
  readonly after: JsonObject | null
}

// $1 org or null, $2 from, $3 to, $4 $5 after (at, id), $6 limit. Bounds, and the org, stand where
// an index takes them, also in a plan that is kept.
const statementOf = (orgId: string | null): string => `
  SELECT audit_id AS "auditId", org_id AS "orgId", at, actor, action, details, reason, before, after
  FROM audit_entry
  WHERE ${orgId === null ? '$1::text IS NULL' : 'org_id = $1'}
    AND at >= coalesce($2::timestamptz, '-infinity')
    AND at < coalesce($3::timestamptz, 'infinity')
    AND (at, audit_id) < (coalesce($4::timestamptz, 'infinity'), coalesce($5, ''))
  ORDER BY at DESC, audit_id DESC
  LIMIT $6`

/** Acts of operators, newest first. */
export async function listAudit(sql: Sql, query: Query): Promise<Page<AuditView>> {
  const orgId = textParam(query, 'orgId')
  const filters = [orgId, timeParam(query, 'from'), timeParam(query, 'to')]
  const request = pageRequest(query, ['audit', ...filters])
  const [at = null, auditId = null] = request.after ?? []
  const values = [...filters, at, auditId, request.limit + 1]
  const name = orgId === null ? 'list-all-audit' : 'list-audit'
  const rows = await sql<AuditView>(name, statementOf(orgId), values)
  return page(
    rows,
    request,
    (row) => [row.at, row.auditId],
    (row) => row,
  )
}
