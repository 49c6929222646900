import type { Currency, Entry, Transaction } from './ledger.ts'

/** Where the books of one org stand. */
export type Books = {
  /** Number of the last entry; 0 before the first. */
  readonly seq: number
  /** Sum of open holds, micro-credits. */
  readonly held: bigint
  /** By `<currency>:<account>`; micro-credits, and nano-USD for USD. */
  readonly balances: Readonly<Record<string, bigint>>
}

/** An entry as it stands in the books. */
export type BookedEntry = Omit<Entry, 'amount'> & {
  /** Counts the entries of the org from 1, without holes. */
  readonly seq: number
  /** Micro-credits or micro-USD. */
  readonly amountMicro: bigint
  /** What the entry's account holds after it. */
  readonly balanceAfterMicro: bigint
  /** The sum of open holds after the whole transaction. */
  readonly heldAfterMicro: bigint
}

/** Enters a transaction; a credit raises the balance of its account, a debit lowers it. */
export function enter(
  books: Books,
  { entries, heldChange }: Transaction,
): { readonly books: Books; readonly booked: readonly BookedEntry[] } {
  const held = books.held + heldChange
  const balances: Record<string, bigint> = { ...books.balances }
  const booked = entries.map((entry, at): BookedEntry => {
    const { account, currency, direction, amount, grantId, grantKind } = entry
    const name = `${currency}:${account}`
    const before = balances[name] ?? 0n
    const after = before + (direction === 'credit' ? amount : -amount)
    balances[name] = after
    const balanceAfterMicro = micro(after, currency)
    const moved = balanceAfterMicro - micro(before, currency)
    return {
      account,
      direction,
      currency,
      grantId,
      grantKind,
      seq: books.seq + at + 1,
      amountMicro: moved < 0n ? -moved : moved,
      balanceAfterMicro,
      heldAfterMicro: held,
    }
  })
  return { books: { seq: books.seq + entries.length, held, balances }, booked }
}

/**
 * Costs are counted in nano-USD and shown in micro-USD. The running sum is cut, not each amount,
 * so that amounts always add up to the balance and no more than one micro-USD is ever hidden.
 */
function micro(amount: bigint, currency: Currency): bigint {
  return currency === 'USD' ? amount / 1000n : amount
}
