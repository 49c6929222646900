import type { JobCredits } from '../../domain/job/job-view.ts'
import type { Sql } from './sql.ts'

/** What the balance knows of a job: it may lag behind the job itself. */
export type KnownCredits = JobCredits & {
  /** How many of its holds are in it; a job gets one more each time it is queued again. */
  readonly holds: number
}

/** What jobs hold and were charged; jobs that the balance does not know yet are missing. */
export async function jobCredits(
  sql: Sql,
  jobIds: readonly string[],
): Promise<ReadonlyMap<string, KnownCredits>> {
  const rows = await sql<KnownCredits & { readonly jobId: string }>(
    'job-credits',
    // Job by job: for `= ANY` Postgres reads the whole table when it believes that it is small.
    `SELECT job_id AS "jobId", hold.* FROM unnest($1::text[]) AS job (job_id) CROSS JOIN LATERAL (
       SELECT sum(remaining)::text AS held, sum(charged)::text AS charged, count(*)::int AS holds
       FROM credit_hold WHERE credit_hold.job_id = job.job_id
     ) AS hold WHERE hold.holds > 0`,
    [jobIds],
  )
  return new Map(rows.map(({ jobId, ...credits }) => [jobId, credits]))
}

/** Reads the credits of all jobs that are asked for at the same time with one statement. */
export class CreditReader {
  readonly #sql: Sql
  #asked: string[] = []
  #reading: Promise<ReadonlyMap<string, KnownCredits>> | null = null

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** What a job holds and was charged; undefined while the balance does not know it. */
  async of(jobId: string): Promise<KnownCredits | undefined> {
    this.#asked.push(jobId)
    this.#reading ??= this.#readSoon()
    return (await this.#reading).get(jobId)
  }

  async #readSoon(): Promise<ReadonlyMap<string, KnownCredits>> {
    await new Promise(setImmediate)
    const jobIds = this.#asked
    this.#asked = []
    this.#reading = null
    return jobCredits(this.#sql, jobIds)
  }
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
  return (await getBalances(sql, [orgId]))[0] ?? null
}

/** The balances of orgs; those that the read model does not know yet are missing. */
export async function getBalances(sql: Sql, orgIds: readonly string[]): Promise<Balance[]> {
  const rows = await sql<Omit<Balance, 'currency'>>(
    'balances',
    // Org by org, which the limit says: a join Postgres does the other way round, when it believes
    // that the table is small, and reads all of it.
    `SELECT org.id AS "orgId", balance.* FROM unnest($1::text[]) AS org (id) CROSS JOIN LATERAL (
       SELECT (posted - held + overdraft)::text AS available, held::text, posted::text,
         overdraft::text
       FROM account_balance WHERE org_id = org.id LIMIT 1
     ) AS balance`,
    [orgIds],
  )
  return rows.map((row) => ({ ...row, currency: 'credits' }))
}
