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

// $1 org or null, $2 from, $3 to, $4 $5 after (at, id), $6 limit
const statement = `
  SELECT audit_id AS "auditId", org_id AS "orgId", at, actor, action, details, reason, before, after
  FROM audit_entry
  WHERE ($1::text IS NULL OR org_id = $1)
    AND ($2::timestamptz IS NULL OR at >= $2)
    AND ($3::timestamptz IS NULL OR at < $3)
    AND ($4::timestamptz IS NULL OR (at, audit_id) < ($4, $5))
  ORDER BY at DESC, audit_id DESC
  LIMIT $6`

/** Acts of operators, newest first. */
export async function listAudit(sql: Sql, query: Query): Promise<Page<AuditView>> {
  const filters = [textParam(query, 'orgId'), timeParam(query, 'from'), timeParam(query, 'to')]
  const request = pageRequest(query, ['audit', ...filters])
  const [at = null, auditId = null] = request.after ?? []
  const values = [...filters, at, auditId, request.limit + 1]
  const rows = await sql<AuditView>('list-audit', statement, values)
  return page(
    rows,
    request,
    (row) => [row.at, row.auditId],
    (row) => row,
  )
}
