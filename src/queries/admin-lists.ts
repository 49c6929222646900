import { page, pageRequest, textParam } from '../http/paging.ts'
import type { Page, Query } from '../http/paging.ts'
import type { Sql } from './sql.ts'

/** What an open hold still reserves. */
export type HoldView = {
  readonly orgId: string
  readonly holdId: string
  readonly jobId: string
  readonly amount: string
  readonly heldAt: string
  readonly expiresAt: string
}

// $1 org or null, $2 $3 after (heldAt, id), $4 limit. Bounds, and the org, stand where an index
// takes them, also in a plan that is kept.
const holdsStatement = (orgId: string | null): string => `
  SELECT org_id AS "orgId", hold_id AS "holdId", job_id AS "jobId", remaining::text AS amount,
    held_at AS "heldAt", expires_at AS "expiresAt"
  FROM credit_hold
  WHERE is_open AND ${orgId === null ? '$1::text IS NULL' : 'org_id = $1'}
    AND (held_at, hold_id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3, ''))
  ORDER BY held_at DESC, hold_id DESC
  LIMIT $4`

/** Open holds, newest first. */
export async function listHolds(sql: Sql, query: Query): Promise<Page<HoldView>> {
  const orgId = textParam(query, 'orgId')
  const request = pageRequest(query, ['holds', orgId])
  const [heldAt = null, holdId = null] = request.after ?? []
  const values = [orgId, heldAt, holdId, request.limit + 1]
  const name = orgId === null ? 'list-all-holds' : 'list-holds'
  const rows = await sql<HoldView>(name, holdsStatement(orgId), values)
  return page(
    rows,
    request,
    (row) => [row.heldAt, row.holdId],
    (row) => row,
  )
}

export type OrgView = {
  readonly orgId: string
  readonly name: string
  readonly status: string
  readonly posted: string
  readonly held: string
  readonly available: string
  readonly overdraft: string
  readonly createdAt: string
}

// $1 $2 after (openedAt, id), $3 limit, $4 now
const orgsStatement = `
  SELECT org_id AS "orgId", name,
    CASE WHEN status = 'throttled' AND throttled_until <= $4 THEN 'active' ELSE status END
      AS status,
    posted::text, held::text, overdraft::text,
    (posted - held + overdraft)::text AS available, opened_at AS "createdAt"
  FROM account_balance
  WHERE (opened_at, org_id) < (coalesce($1::timestamptz, 'infinity'), coalesce($2, ''))
  ORDER BY opened_at DESC, org_id DESC
  LIMIT $3`

/** Orgs with their money, newest first. */
export async function listOrgs(sql: Sql, query: Query, now: string): Promise<Page<OrgView>> {
  const request = pageRequest(query, ['orgs'])
  const [createdAt = null, orgId = null] = request.after ?? []
  const rows = await sql<OrgView>('list-orgs', orgsStatement, [
    ...[createdAt, orgId, request.limit + 1, now],
  ])
  return page(
    rows,
    request,
    (row) => [row.createdAt, row.orgId],
    (row) => row,
  )
}
