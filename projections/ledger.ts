import { hash } from 'node:crypto'
import type { AccountEvent, UsageRecorded } from '../domain/account/account-events.ts'
import { grantKinds } from '../domain/account/burn.ts'
import { catalog, isAccountEvent } from '../domain/catalog.ts'
import type { Recorded } from '../domain/catalog.ts'
import { enter } from '../domain/ledger/books.ts'
import type { BookedEntry, Books } from '../domain/ledger/books.ts'
import { chainHash, genesisHash } from '../domain/ledger/canonical.ts'
import type { Sha256 } from '../domain/ledger/canonical.ts'
import { transactionOf } from '../domain/ledger/ledger.ts'
import type { KindOf, Transaction } from '../domain/ledger/ledger.ts'
import { priceUnits } from '../domain/pricing/price-book.ts'
import type { Units } from '../domain/pricing/price-book.ts'
import { follows } from './hole-alarm.ts'
import type { HoleAlarm } from './hole-alarm.ts'
import { defineTable } from './projection.ts'
import type { Projection, RowRef, Rows } from './projection.ts'

/** Where the books of an org stand. */
export type LedgerHeadRow = {
  readonly orgId: string
  /** The last event of the account, and its hash in the chain. */
  readonly revision: number
  readonly hash: string
  readonly seq: number
  readonly held: string
  readonly balances: { readonly [account: string]: string }
}

/** The kind of a grant, for the entries that take from it. */
export type LedgerGrantRow = { readonly grantKey: string; readonly kind: string }

/** One line of the books, for ever; the columns of the statement. */
export type LedgerEntryRow = {
  /** `<org>:<seq with leading zeros>`: in the order of the org's books. */
  readonly entryId: string
  /** The event: its entries sum to zero in each currency. */
  readonly txId: string
  readonly orgId: string
  readonly seq: number
  readonly bookedAtUtc: string
  readonly recordedAtUtc: string
  readonly userId: string | null
  readonly account: string
  readonly kind: string
  readonly direction: string
  readonly amountMicro: string
  readonly currency: string
  readonly balanceAfterMicro: string
  readonly heldAfterMicro: string
  readonly grantId: string | null
  readonly grantKind: string | null
  readonly jobId: string | null
  readonly callId: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly unitsIn: string | null
  readonly unitsOut: string | null
  readonly ms: number | null
  readonly priceVersion: number | null
  readonly costNanoUsd: string | null
  readonly reason: string | null
  readonly actor: string
  readonly source: string
  readonly stripeRef: string | null
  readonly correctsEntryId: string | null
  readonly prevHash: string
  readonly hash: string
}

export const ledgerHeadTable = defineTable<LedgerHeadRow>({
  name: 'ledger_head',
  key: 'orgId',
  columns: {
    orgId: 'text',
    revision: 'int',
    hash: 'text',
    seq: 'int',
    held: 'numeric',
    balances: 'json',
  },
  appendOnly: false,
})

export const ledgerGrantTable = defineTable<LedgerGrantRow>({
  name: 'ledger_grant',
  key: 'grantKey',
  columns: { grantKey: 'text', kind: 'text' },
  appendOnly: false,
})

export const ledgerEntryTable = defineTable<LedgerEntryRow>({
  name: 'ledger_entry',
  key: 'entryId',
  columns: {
    entryId: 'text',
    txId: 'text',
    orgId: 'text',
    seq: 'int',
    bookedAtUtc: 'time',
    recordedAtUtc: 'time',
    userId: 'text',
    account: 'text',
    kind: 'text',
    direction: 'text',
    amountMicro: 'numeric',
    currency: 'text',
    balanceAfterMicro: 'numeric',
    heldAfterMicro: 'numeric',
    grantId: 'text',
    grantKind: 'text',
    jobId: 'text',
    callId: 'text',
    provider: 'text',
    model: 'text',
    unitsIn: 'text',
    unitsOut: 'text',
    ms: 'int',
    priceVersion: 'int',
    costNanoUsd: 'numeric',
    reason: 'text',
    actor: 'text',
    source: 'text',
    stripeRef: 'text',
    correctsEntryId: 'text',
    prevHash: 'text',
    hash: 'text',
  },
  appendOnly: true,
})

const name = 'ledger'
const seqDigits = 10

/** The id of an org's entry. Ids of one org sort like its entries. */
export function entryId(orgId: string, seq: number): string {
  return `${orgId}:${seq.toString().padStart(seqDigits, '0')}`
}

const sha256: Sha256 = (text) => hash('sha256', text)
const orgOf = (event: Recorded): string => event.stream.slice('account-'.length)
const grantRef = (event: Recorded, grantId: string): RowRef => ({
  table: ledgerGrantTable,
  key: `${orgOf(event)}:${grantId}`,
})

function reads(event: Recorded): readonly RowRef[] {
  if (!isAccountEvent(event)) return []
  const head = { table: ledgerHeadTable, key: orgOf(event) }
  if (event.type === 'CreditsExpired') return [head, grantRef(event, event.data.grantId)]
  if (event.type !== 'UsageRecorded' && event.type !== 'CreditsRevoked') return [head]
  return [head, ...event.data.allocations.map(({ grantId }) => grantRef(event, grantId))]
}

type AccountRecord = Recorded<AccountEvent>

/** The head before the event; null when the books hold the event, or miss the ones before it. */
function headBefore(alarm: HoleAlarm, event: AccountRecord, rows: Rows): LedgerHeadRow | null {
  const orgId = orgOf(event)
  const head = rows.get(ledgerHeadTable, orgId)
  if (head) return follows(alarm, name, event, head.revision) === 'new' ? head : null
  if (event.revision > 0) {
    alarm({ projection: name, stream: event.stream, seen: -1, got: event.revision })
    return null
  }
  return { orgId, revision: -1, hash: genesisHash, seq: 0, held: '0', balances: {} }
}

/** The books of heads that were just made: the next event needs not read their texts. */
const parsed = new WeakMap<LedgerHeadRow, Books>()

function booksOf(head: LedgerHeadRow): Books {
  const { seq, held, balances } = head
  return parsed.get(head) ?? { seq, held: BigInt(held), balances: mapped(balances, BigInt) }
}

function textsOf({ seq, held, balances }: Books) {
  return { seq, held: held.toString(), balances: mapped(balances, String) }
}

function mapped<A, B>(amounts: Readonly<Record<string, A>>, to: (amount: A) => B) {
  const all: Record<string, B> = {}
  for (const [account, amount] of Object.entries(amounts)) all[account] = to(amount)
  return all
}

function kindIn(event: AccountRecord, rows: Rows): KindOf {
  return (grantId) => {
    const kind = rows.get(ledgerGrantTable, grantRef(event, grantId).key)?.kind
    return grantKinds.find((known) => known === kind) ?? null
  }
}

/** Books the event, and moves the chain on; an event that moves no money is in the chain too. */
function book(alarm: HoleAlarm, event: AccountRecord, rows: Rows): void {
  const head = headBefore(alarm, event, rows)
  if (!head) return
  const { revision } = event
  const orgId = head.orgId
  const chained = chainHash(sha256, head.hash, event)
  if (event.type === 'CreditsGranted') {
    const { grantId, kind } = event.data
    rows.put(ledgerGrantTable, { grantKey: grantRef(event, grantId).key, kind })
  }
  const transaction = transactionOf(event, kindIn(event, rows))
  if (!transaction) return rows.put(ledgerHeadTable, { ...head, revision, hash: chained })
  const { books, booked } = enter(booksOf(head), transaction)
  const common = commonOf(event, transaction)
  const chain = { orgId, prevHash: head.hash, hash: chained }
  const call = event.type === 'UsageRecorded' ? event.data : null
  booked.forEach((entry, at) => {
    const measures = call && at === 0 ? measuresOf(call) : noMeasures
    rows.put(ledgerEntryTable, rowOf(chain, { common, measures, entry }))
  })
  const next = { orgId, revision, hash: chained, ...textsOf(books) }
  parsed.set(next, books)
  rows.put(ledgerHeadTable, next)
}

type RowParts = {
  readonly common: ReturnType<typeof commonOf>
  readonly measures: Pick<LedgerEntryRow, 'unitsIn' | 'unitsOut' | 'ms' | 'costNanoUsd'>
  readonly entry: BookedEntry
}

/** Column by column: spreading as many parts into one row costs more than booking it. */
function rowOf(
  chain: Pick<LedgerEntryRow, 'orgId' | 'prevHash' | 'hash'>,
  { common, measures, entry }: RowParts,
): LedgerEntryRow {
  return {
    entryId: entryId(chain.orgId, entry.seq),
    txId: common.txId,
    orgId: chain.orgId,
    seq: entry.seq,
    bookedAtUtc: common.bookedAtUtc,
    recordedAtUtc: common.recordedAtUtc,
    userId: common.call.userId,
    account: entry.account,
    kind: common.kind,
    direction: entry.direction,
    amountMicro: entry.amountMicro.toString(),
    currency: entry.currency,
    balanceAfterMicro: entry.balanceAfterMicro.toString(),
    heldAfterMicro: entry.heldAfterMicro.toString(),
    grantId: entry.grantId,
    grantKind: entry.grantKind,
    jobId: common.call.jobId,
    callId: common.call.callId,
    provider: common.call.provider,
    model: common.call.model,
    unitsIn: measures.unitsIn,
    unitsOut: measures.unitsOut,
    ms: measures.ms,
    priceVersion: common.call.priceVersion,
    costNanoUsd: measures.costNanoUsd,
    reason: common.reason,
    actor: common.actor,
    source: common.source,
    stripeRef: null,
    correctsEntryId: null,
    prevHash: chain.prevHash,
    hash: chain.hash,
  }
}

/** What all entries of a transaction share. */
function commonOf(event: AccountRecord, { kind }: Transaction) {
  const { id: txId, meta, recordedAt: recordedAtUtc } = event
  const { actor, at: bookedAtUtc } = meta
  const source = actor.split(':')[0] ?? actor
  const [reason, call] = [reasonOf(event), callOf(event)]
  return { txId, kind, actor, source, bookedAtUtc, recordedAtUtc, reason, call }
}

function reasonOf(event: AccountRecord): string | null {
  const { type, data } = event
  if (type === 'CreditsGranted' || type === 'CreditsRevoked') return data.reason
  if (type === 'HoldSettled') return data.outcome
  return type === 'UsageRecorded' ? data.jobType : null
}

const noCall = { userId: null, callId: null, provider: null, model: null, priceVersion: null }

/** Whose job and which call it was. */
function callOf(event: AccountRecord) {
  const { type, data } = event
  if (type === 'UsageRecorded') {
    const { jobId, userId, usageId: callId, provider, model, priceVersion } = data
    return { jobId, userId, callId, provider, model, priceVersion }
  }
  const isAboutJob = type === 'CreditsHeld' || type === 'HoldSettled'
  return { ...noCall, jobId: isAboutJob ? data.jobId : null }
}

const noMeasures = { unitsIn: null, unitsOut: null, ms: null, costNanoUsd: null }

/** Stand on the first entry of a call alone, so that a column of them adds up. */
function measuresOf({ units, ms, costNanoUsd }: UsageRecorded['data']) {
  return { unitsIn: unitsIn(units), unitsOut: units['output_tokens'] ?? null, ms, costNanoUsd }
}

/** What goes in: input tokens, or else the first other unit that the call has. */
function unitsIn(units: Units): string | null {
  const unit = priceUnits.find((each) => each !== 'output_tokens' && Object.hasOwn(units, each))
  return unit === undefined ? null : (units[unit] ?? null)
}

export function ledger(alarm: HoleAlarm): Projection {
  const handle = (event: Recorded, rows: Rows): void => {
    if (isAccountEvent(event)) book(alarm, event, rows)
  }
  const types = Object.entries(catalog).filter(([, category]) => category === 'account')
  return {
    name,
    version: 1,
    order: 'org',
    rebuildable: true,
    tables: [ledgerHeadTable, ledgerGrantTable, ledgerEntryTable],
    reads,
    handlers: Object.fromEntries(types.map(([type]) => [type, handle])),
  }
}
