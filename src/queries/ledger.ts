import { Readable } from 'node:stream'
import { invalid } from '../../domain/errors.ts'
import { page, pageRequest, textParam, timeParam } from '../http/paging.ts'
import type { Page, Query } from '../http/paging.ts'
import type { Balance } from './get-credits.ts'
import type { Sql } from './sql.ts'

/** A line of the books, its members named as the columns of the statement. */
export type LedgerView = {
  readonly seq: number
  readonly tx_id: string
  readonly entry_id: string
  readonly booked_at_utc: string
  readonly recorded_at_utc: string
  readonly org_id: string
  readonly user_id: string | null
  readonly account: string
  readonly kind: string
  readonly direction: string
  readonly amount_micro: string
  readonly currency: string
  readonly balance_after_micro: string
  readonly held_after_micro: string
  readonly grant_id: string | null
  readonly grant_kind: string | null
  readonly job_id: string | null
  readonly call_id: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly units_in: string | null
  readonly units_out: string | null
  readonly ms: number | null
  readonly price_version: number | null
  readonly cost_nano_usd: string | null
  readonly reason: string | null
  readonly actor: string
  readonly source: string
  readonly stripe_ref: string | null
  readonly corrects_entry_id: string | null
  readonly prev_hash: string
  readonly hash: string
}

/** The columns in their order; the numbers among them are never taken for formulas. */
const columns: { readonly [Column in keyof LedgerView]: 'text' | 'number' } = {
  seq: 'number',
  tx_id: 'text',
  entry_id: 'text',
  booked_at_utc: 'text',
  recorded_at_utc: 'text',
  org_id: 'text',
  user_id: 'text',
  account: 'text',
  kind: 'text',
  direction: 'text',
  amount_micro: 'number',
  currency: 'text',
  balance_after_micro: 'number',
  held_after_micro: 'number',
  grant_id: 'text',
  grant_kind: 'text',
  job_id: 'text',
  call_id: 'text',
  provider: 'text',
  model: 'text',
  units_in: 'number',
  units_out: 'number',
  ms: 'number',
  price_version: 'number',
  cost_nano_usd: 'number',
  reason: 'text',
  actor: 'text',
  source: 'text',
  stripe_ref: 'text',
  corrects_entry_id: 'text',
  prev_hash: 'text',
  hash: 'text',
}

// Ids of entries are <org>:<seq>, sorted by bytes, so the primary key is the order of the books:
// those of an org lie between `<org>:` and `<org>;`.
const selected = `SELECT ${Object.keys(columns).join(', ')} FROM ledger_entry
  WHERE org_id = $1 AND entry_id > $2 AND entry_id < $3
    AND ($4::timestamptz IS NULL OR booked_at_utc >= $4)
    AND ($5::timestamptz IS NULL OR booked_at_utc < $5)`

// $1 org, $2 after, $3 before, $4 from, $5 to, $6 limit
const newestFirst = `${selected} ORDER BY entry_id DESC LIMIT $6`
const oldestFirst = `${selected} ORDER BY entry_id LIMIT $6`

const idsOf = (orgId: string) => ({ first: `${orgId}:`, end: `${orgId};` })

/** The books of an org, newest first. */
export async function listLedger(sql: Sql, orgId: string, query: Query): Promise<Page<LedgerView>> {
  const [from, to] = [timeParam(query, 'from'), timeParam(query, 'to')]
  const request = pageRequest(query, ['ledger', orgId, from, to], ['text'])
  const { first, end } = idsOf(orgId)
  const before = request.after?.[0] ?? end
  const values = [orgId, first, before, from, to, request.limit + 1]
  const rows = await sql<LedgerView>('list-ledger', newestFirst, values)
  return page(
    rows,
    request,
    (row) => [row.entry_id],
    (row) => row,
  )
}

/** Rows that are in memory at a time while a statement is written. */
const statementRows = 500

/**
 * The books of an org as CSV (RFC 4180), oldest first, read as fast as the reader takes it.
 *
 * @throws DomainError `invalid_request` before anything is written
 */
export function ledgerCsv(sql: Sql, orgId: string, query: Query): Readable {
  const [from, to] = [timeParam(query, 'from'), timeParam(query, 'to')]
  const { first, end } = idsOf(orgId)
  const pages = async function* () {
    yield `${Object.keys(columns).join(',')}\r\n`
    for (let after = first; ;) {
      const values = [orgId, after, end, from, to, statementRows]
      const rows = await sql<LedgerView>('ledger-statement', oldestFirst, values)
      const last = rows.at(-1)
      if (last) yield rows.map(csvLine).join('')
      if (!last || rows.length < statementRows) return
      after = last.entry_id
    }
  }
  return Readable.from(pages())
}

/** One line of the statement, with its line break. */
export function csvLine(row: LedgerView): string {
  const cells: Readonly<Record<string, string | number | null>> = row
  const line = Object.entries(columns).map(([column, kind]) => {
    const cell = String(cells[column] ?? '')
    return kind === 'number' && /^-?\d*$/.test(cell) ? cell : quoted(harmless(cell))
  })
  return `${line.join(',')}\r\n`
}

/** Spreadsheets take what begins like this for a formula and run it; wide signs too. */
function harmless(cell: string): string {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(cell) ? `'${cell}` : cell
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

/** What the balance was. */
export type PastBalance = Balance & {
  readonly asOf: string
  /** `booked`: what happened until then. `recorded`: what the log knew then. */
  readonly by: 'booked' | 'recorded'
}

const timeColumns = { booked: 'booked_at_utc', recorded: 'recorded_at_utc' } as const
const isTimeColumn = (by: string): by is keyof typeof timeColumns => Object.hasOwn(timeColumns, by)

/** By which time the past can be asked for. */
export const pastTimes = Object.keys(timeColumns)

/**
 * The balance at an earlier time, from the books; null when the query names none. What happened at
 * that very time counts. The overdraft is today's.
 */
export async function pastBalance(
  sql: Sql,
  orgId: string,
  query: Query,
): Promise<PastBalance | null> {
  const asOf = timeParam(query, 'asOf')
  const by = textParam(query, 'by') ?? 'booked'
  if (!isTimeColumn(by)) {
    const detail = `must be one of ${pastTimes.join(', ')}`
    throw invalid('invalid_request', [{ pointer: '?by', detail }])
  }
  if (asOf === null) return null
  const { first, end } = idsOf(orgId)
  const [row] = await sql<Pick<Balance, 'available' | 'held' | 'posted' | 'overdraft'>>(
    `past-balance-${by}`,
    `WITH moved AS (
       SELECT ${timeColumns[by]} AS at,
         CASE WHEN account <> 'customer_credit' THEN 0
           WHEN direction = 'credit' THEN amount_micro ELSE -amount_micro END AS posted,
         held_after_micro - lag(held_after_micro, 1, 0::numeric) OVER (ORDER BY entry_id) AS held
       FROM ledger_entry WHERE org_id = $1 AND entry_id > $2 AND entry_id < $3
     ), past AS (
       SELECT coalesce(sum(posted), 0) AS posted, coalesce(sum(held), 0) AS held
       FROM moved WHERE at <= $4::timestamptz
     ), org AS (
       SELECT coalesce(max(overdraft), 0) AS overdraft FROM account_balance WHERE org_id = $1
     )
     SELECT (posted - held + overdraft)::text AS available, held::text, posted::text,
       overdraft::text
     FROM past, org`,
    [orgId, first, end, asOf],
  )
  if (!row) return null
  return { orgId, asOf, by, ...row, currency: 'credits' }
}
