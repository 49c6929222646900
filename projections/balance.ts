import { catalog } from '../domain/catalog.ts'
import type { Recorded } from '../domain/catalog.ts'
import type { AccountStatus, UsageRecorded } from '../domain/account/account-events.ts'
import type { JsonObject } from '../domain/json.ts'
import { follows } from './hole-alarm.ts'
import type { HoleAlarm } from './hole-alarm.ts'
import { defineTable } from './projection.ts'
import type { Handlers, Projection, RowRef, Rows } from './projection.ts'

/** One row per org: its name and its money, micro-credits. */
export type AccountBalanceRow = {
  readonly orgId: string
  readonly name: string
  /** Throttled only until its end: lists look at that too. */
  readonly status: AccountStatus
  readonly throttledUntil: string | null
  readonly posted: string
  readonly held: string
  readonly overdraft: string
  readonly revision: number
  readonly openedAt: string
}

/** What one hold reserves and what its job was charged on it. */
export type CreditHoldRow = {
  readonly holdId: string
  readonly orgId: string
  readonly jobId: string
  readonly remaining: string
  readonly charged: string
  readonly isOpen: boolean
  readonly heldAt: string
  readonly expiresAt: string
}

/** What was given, for the admin's view of an org. */
export type CreditGrantRow = {
  readonly grantId: string
  readonly orgId: string
  readonly kind: string
  readonly amount: string
  readonly remaining: string
  readonly priority: number
  readonly reason: string
  readonly grantedAt: string
  readonly expiresAt: string | null
}

export const accountBalanceTable = defineTable<AccountBalanceRow>({
  name: 'account_balance',
  key: 'orgId',
  columns: {
    orgId: 'text',
    name: 'text',
    status: 'text',
    throttledUntil: 'time',
    posted: 'numeric',
    held: 'numeric',
    overdraft: 'numeric',
    revision: 'int',
    openedAt: 'time',
  },
  appendOnly: false,
})

export const creditHoldTable = defineTable<CreditHoldRow>({
  name: 'credit_hold',
  key: 'holdId',
  columns: {
    holdId: 'text',
    orgId: 'text',
    jobId: 'text',
    remaining: 'numeric',
    charged: 'numeric',
    isOpen: 'bool',
    heldAt: 'time',
    expiresAt: 'time',
  },
  appendOnly: false,
})

export const creditGrantTable = defineTable<CreditGrantRow>({
  name: 'credit_grant',
  key: 'grantId',
  columns: {
    grantId: 'text',
    orgId: 'text',
    kind: 'text',
    amount: 'numeric',
    remaining: 'numeric',
    priority: 'int',
    reason: 'text',
    grantedAt: 'time',
    expiresAt: 'time',
  },
  appendOnly: false,
})

const name = 'balance'

/** Refs of the rows that an account event touches beside the balance itself. */
function reads(event: Recorded): readonly RowRef[] {
  if (!event.stream.startsWith('account-')) return []
  const refs: RowRef[] = [{ table: accountBalanceTable, key: event.meta.orgId }]
  const grant = (key: string) => refs.push({ table: creditGrantTable, key })
  const hold = (key: string) => refs.push({ table: creditHoldTable, key })
  if (event.type === 'HoldSettled') hold(event.data.holdId)
  if (event.type === 'UsageRecorded') hold(event.data.holdId)
  if (event.type === 'CreditsExpired') grant(event.data.grantId)
  if (event.type === 'UsageRecorded' || event.type === 'CreditsRevoked') {
    for (const { grantId } of event.data.allocations) grant(grantId)
  }
  return refs
}

const add = (a: string, b: string): string => (BigInt(a) + BigInt(b)).toString()
const less = (a: string, b: string): string => (BigInt(a) - BigInt(b)).toString()

function takeFromGrants(taken: readonly { grantId: string; amountMicro: string }[], rows: Rows) {
  for (const { grantId, amountMicro } of taken) {
    const grant = rows.get(creditGrantTable, grantId)
    if (!grant) continue
    rows.put(creditGrantTable, { ...grant, remaining: less(grant.remaining, amountMicro) })
  }
}

/** Charges the hold; a late usage of a closed hold is charged all the same. */
function chargeHold({ data }: Pick<UsageRecorded, 'data'>, rows: Rows): void {
  const hold = rows.get(creditHoldTable, data.holdId)
  if (!hold) return
  const remaining = less(hold.remaining, data.fromHoldMicro)
  rows.put(creditHoldTable, { ...hold, remaining, charged: add(hold.charged, data.chargedMicro) })
}

type Move = (
  event: Recorded & { readonly data: JsonObject },
  rows: Rows,
  by: { readonly posted?: string; readonly held?: string },
) => boolean

/** Moves the org's row on to the event's revision; false when it has seen the event. */
function mover(alarm: HoleAlarm): Move {
  return (event, rows, by) => {
    const row = rows.get(accountBalanceTable, event.meta.orgId)
    if (!row) {
      alarm({ projection: name, stream: event.stream, seen: -1, got: event.revision })
      return false
    }
    if (follows(alarm, name, event, row.revision) === 'seen') return false
    const posted = add(row.posted, by.posted ?? '0')
    const held = add(row.held, by.held ?? '0')
    rows.put(accountBalanceTable, { ...row, posted, held, revision: event.revision })
    return true
  }
}

export function balance(alarm: HoleAlarm): Projection {
  const move = mover(alarm)
  return {
    name,
    version: 1,
    order: 'org',
    rebuildable: true,
    tables: [accountBalanceTable, creditHoldTable, creditGrantTable],
    reads,
    handlers: {
      ...quietHandlers(move),
      ...openingHandlers(),
      ...standingHandlers(move),
      ...grantHandlers(move),
      ...holdHandlers(move),
    },
  }
}

/** What moves no money moves the row on all the same, or the next event would look like a hole. */
function quietHandlers(move: Move): Handlers {
  const types = Object.entries(catalog).filter(([, category]) => category === 'account')
  const quiet = (event: Recorded, rows: Rows): void => void move(event, rows, {})
  return Object.fromEntries(types.map(([type]) => [type, quiet]))
}

const openingHandlers = (): Handlers => ({
  AccountOpened: ({ data, revision }, rows) => {
    if (rows.get(accountBalanceTable, data.orgId)) return
    const { orgId, name: title, overdraftMicro: overdraft, openedAt } = data
    const nothing = { posted: '0', held: '0', status: 'active' as const, throttledUntil: null }
    const row = { orgId, name: title, overdraft, openedAt, revision, ...nothing }
    rows.put(accountBalanceTable, row)
  },
})

/** A throttle that a ban hides comes back with nothing: reinstating lifts both. */
function standingHandlers(move: Move): Handlers {
  type Change = Pick<AccountBalanceRow, 'status' | 'throttledUntil'>
  const change = (event: Recorded & { data: JsonObject }, rows: Rows, to: Change): void => {
    if (!move(event, rows, {})) return
    const row = rows.get(accountBalanceTable, event.meta.orgId)
    if (!row) return
    const isBanned = row.status === 'banned' && to.status === 'throttled'
    rows.put(accountBalanceTable, { ...row, ...to, status: isBanned ? 'banned' : to.status })
  }
  return {
    AccountThrottled: (event, rows) => {
      change(event, rows, { status: 'throttled', throttledUntil: event.data.until })
    },
    AccountBanned: (event, rows) => {
      change(event, rows, { status: 'banned', throttledUntil: null })
    },
    AccountReinstated: (event, rows) => {
      change(event, rows, { status: 'active', throttledUntil: null })
    },
  }
}

const grantHandlers = (move: Move): Handlers => ({
  CreditsGranted: (event, rows) => {
    const { amountMicro, coversDebtMicro, effectiveAt, ...grant } = event.data
    if (!move(event, rows, { posted: amountMicro })) return
    const { grantId, kind, priority, reason, expiresAt } = grant
    rows.put(creditGrantTable, {
      ...{ grantId, kind, priority, reason, expiresAt, orgId: event.meta.orgId },
      ...{ amount: amountMicro, remaining: less(amountMicro, coversDebtMicro) },
      grantedAt: effectiveAt,
    })
  },
  CreditsRevoked: (event, rows) => {
    if (!move(event, rows, { posted: `-${event.data.amountMicro}` })) return
    takeFromGrants(event.data.allocations, rows)
  },
  CreditsExpired: (event, rows) => {
    if (!move(event, rows, { posted: `-${event.data.amountMicro}` })) return
    takeFromGrants([event.data], rows)
  },
})

const holdHandlers = (move: Move): Handlers => ({
  CreditsHeld: (event, rows) => {
    const { holdId, jobId, amountMicro, heldAt, expiresAt } = event.data
    if (!move(event, rows, { held: amountMicro })) return
    const times = { heldAt, expiresAt, isOpen: true }
    const amounts = { remaining: amountMicro, charged: '0' }
    rows.put(creditHoldTable, { holdId, orgId: event.meta.orgId, jobId, ...amounts, ...times })
  },
  UsageRecorded: (event, rows) => {
    const { chargedMicro, fromHoldMicro, allocations } = event.data
    const by = { posted: `-${chargedMicro}`, held: `-${fromHoldMicro}` }
    if (!move(event, rows, by)) return
    takeFromGrants(allocations, rows)
    chargeHold(event, rows)
  },
  HoldSettled: (event, rows) => {
    const { holdId, releasedMicro } = event.data
    if (!move(event, rows, { held: `-${releasedMicro}` })) return
    const hold = rows.get(creditHoldTable, holdId)
    if (hold) rows.put(creditHoldTable, { ...hold, remaining: '0', isOpen: false })
  },
})
