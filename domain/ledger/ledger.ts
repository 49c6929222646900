import type { AccountEvent, StoredAllocation, UsageRecorded } from '../account/account-events.ts'
import type { GrantKind } from '../account/burn.ts'
import { storedAmount } from '../pricing/money.ts'
import { unreachable } from '../unreachable.ts'

/**
 * Double entry: what each event of an account means for the books. The entries of one event are
 * one transaction and sum to zero, currency by currency.
 *
 *   event            debit                        credit
 *   CreditsGranted   source of the kind, below    customer_credit
 *   CreditsRevoked   customer_credit              adjustments
 *   CreditsExpired   customer_credit              breakage; promo and adjustments take theirs back
 *   UsageRecorded    customer_credit              revenue
 *                    provider_cost (USD)          adjustments (USD)
 *   CreditsHeld      held                         held
 *   HoldSettled      held                         held
 *
 * `held` is a memorandum account: what is reserved was not spent, so both sides stand in it, its
 * balance stays zero, and the sum of open holds goes beside each entry. `adjustments` is what
 * the books do not explain themselves: goodwill, and in USD what is owed to providers, whose
 * invoices are paid elsewhere.
 */
export const ledgerAccounts = [
  'customer_credit',
  'held',
  'revenue',
  'provider_cost',
  'promo',
  'breakage',
  'stripe_clearing',
  'adjustments',
] as const
export type LedgerAccount = (typeof ledgerAccounts)[number]

export const entryKinds = ['grant', 'adjustment', 'expiry', 'hold', 'usage', 'release'] as const
export type EntryKind = (typeof entryKinds)[number]
export type Direction = 'debit' | 'credit'
export type Currency = 'CREDIT' | 'USD'

/** A line of a transaction. */
export type Entry = {
  readonly account: LedgerAccount
  readonly direction: Direction
  /** Never negative: micro-credits for CREDIT, nano-USD for USD. */
  readonly amount: bigint
  readonly currency: Currency
  /** The grant that gave or lost the amount. */
  readonly grantId: string | null
  readonly grantKind: GrantKind | null
}

/** What one event means for the books. */
export type Transaction = {
  readonly kind: EntryKind
  readonly entries: readonly Entry[]
  /** By how much the sum of open holds changes, micro-credits. */
  readonly heldChange: bigint
}

/** The kind of an earlier grant; null when it is not known. */
export type KindOf = (grantId: string) => GrantKind | null

/** The transaction of an event; null when it moves no money. */
export function transactionOf(event: AccountEvent, kindOf: KindOf): Transaction | null {
  switch (event.type) {
    case 'CreditsGranted': {
      const { grantId, kind, amountMicro } = event.data
      const amount = storedAmount(amountMicro)
      const grant = { grantId, grantKind: kind }
      const given = credit('customer_credit', amount, grant)
      return { kind: 'grant', entries: [given, debit(sourceOf[kind], amount)], heldChange: 0n }
    }
    case 'CreditsRevoked': {
      const { amountMicro } = event.data
      const taken = takenFrom(event.data, kindOf)
      const entries = [...taken, credit('adjustments', storedAmount(amountMicro))]
      return { kind: 'adjustment', entries, heldChange: 0n }
    }
    case 'CreditsExpired': {
      const { grantId, amountMicro } = event.data
      const amount = storedAmount(amountMicro)
      const grantKind = kindOf(grantId)
      const lost = debit('customer_credit', amount, { grantId, grantKind })
      const gained = credit(grantKind === null ? 'breakage' : goesTo[grantKind], amount)
      return { kind: 'expiry', entries: [lost, gained], heldChange: 0n }
    }
    case 'UsageRecorded': {
      const heldChange = -storedAmount(event.data.fromHoldMicro)
      return { kind: 'usage', entries: usageEntries(event.data, kindOf), heldChange }
    }
    case 'CreditsHeld':
      return reserved('hold', storedAmount(event.data.amountMicro))
    case 'HoldSettled':
      return reserved('release', -storedAmount(event.data.releasedMicro))
    case 'AccountOpened':
    case 'ApiKeyIssued':
    case 'ApiKeyRevoked':
    case 'LimitsSet':
    case 'AccountThrottled':
    case 'AccountBanned':
    case 'AccountReinstated':
    case 'BalanceThresholdReached':
    case 'LimitThresholdReached':
    case 'WebhookEndpointRegistered':
    case 'WebhookEndpointRemoved':
    case 'WebhookSecretRotated':
    case 'WebhookEndpointDisabled':
    case 'WebhookEndpointEnabled':
      return null
    default:
      return unreachable(event)
  }
}

/** Where credits of a kind come from. */
const sourceOf: Readonly<Record<GrantKind, LedgerAccount>> = {
  plan: 'stripe_clearing',
  purchase: 'stripe_clearing',
  promo: 'promo',
  adjustment: 'adjustments',
  refund: 'revenue',
}

/** Where credits of a kind go when they expire: paid ones are kept, given ones are taken back. */
const goesTo: Readonly<Record<GrantKind, LedgerAccount>> = {
  plan: 'breakage',
  purchase: 'breakage',
  promo: 'promo',
  adjustment: 'adjustments',
  refund: 'breakage',
}

type OfGrant = Pick<Entry, 'grantId' | 'grantKind'>

const noGrant: OfGrant = { grantId: null, grantKind: null }

function credit(account: LedgerAccount, amount: bigint, grant = noGrant): Entry {
  return { account, direction: 'credit', amount, currency: 'CREDIT', ...grant }
}

function debit(account: LedgerAccount, amount: bigint, grant = noGrant): Entry {
  return { account, direction: 'debit', amount, currency: 'CREDIT', ...grant }
}

type Taken = {
  readonly allocations: readonly StoredAllocation[]
  readonly uncoveredMicro: string
}

/** One debit per grant that paid, one for what no grant covered; one of zero when all was free. */
function takenFrom({ allocations, uncoveredMicro }: Taken, kindOf: KindOf): readonly Entry[] {
  const taken = allocations.map(({ grantId, amountMicro }) =>
    debit('customer_credit', storedAmount(amountMicro), { grantId, grantKind: kindOf(grantId) }),
  )
  const uncovered = storedAmount(uncoveredMicro)
  if (uncovered === 0n && taken.length > 0) return taken
  return [...taken, debit('customer_credit', uncovered)]
}

/** A call that cost and charged nothing stands in the books all the same. */
function usageEntries(data: UsageRecorded['data'], kindOf: KindOf): readonly Entry[] {
  const entries = [...takenFrom(data, kindOf), credit('revenue', storedAmount(data.chargedMicro))]
  const amount = storedAmount(data.costNanoUsd)
  if (amount === 0n) return entries
  const cost = { amount, currency: 'USD', ...noGrant } as const
  return [
    ...entries,
    { account: 'provider_cost', direction: 'debit', ...cost },
    { account: 'adjustments', direction: 'credit', ...cost },
  ]
}

/** A hold or release of nothing moves nothing. */
function reserved(kind: 'hold' | 'release', heldChange: bigint): Transaction | null {
  if (heldChange === 0n) return null
  const amount = heldChange < 0n ? -heldChange : heldChange
  return { kind, entries: [credit('held', amount), debit('held', amount)], heldChange }
}
