import type { JobCredits } from '../../domain/job/job-view.ts'
import type { Sql } from './sql.ts'

type Row = { readonly job_id: string; readonly held: string; readonly charged: string }

/** What jobs hold and were charged; jobs that the balance does not know yet are missing. */
export async function jobCredits(
  sql: Sql,
  jobIds: readonly string[],
): Promise<ReadonlyMap<string, JobCredits>> {
  const rows = await sql<Row>(
    'job-credits',
    `SELECT job_id, sum(remaining)::text AS held, sum(charged)::text AS charged
     FROM credit_hold WHERE job_id = ANY ($1) GROUP BY job_id`,
    [jobIds],
  )
  return new Map(rows.map(({ job_id, held, charged }) => [job_id, { held, charged }]))
}

export type Balance = {
  readonly orgId: string
  readonly available: string
  readonly held: string
  readonly posted: string
  readonly overdraft: string
  readonly currency: 'credits'
}

/** The balance of an org; null while the read model does not know the org yet. */
export async function getBalance(sql: Sql, orgId: string): Promise<Balance | null> {
  const [row] = await sql<Omit<Balance, 'orgId' | 'currency'>>(
    'balance',
    `SELECT (posted - held + overdraft)::text AS available, held::text, posted::text,
       overdraft::text
     FROM account_balance WHERE org_id = $1`,
    [orgId],
  )
  return row ? { orgId, ...row, currency: 'credits' } : null
}
