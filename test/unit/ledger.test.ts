import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { is } from 'immutable'
import { accountDecider, availableAt } from '../../domain/account/account.ts'
import type { Account } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import {
  accountSnapshotVersion,
  decodeAccount,
  encodeAccount,
} from '../../domain/account/account-snapshot.ts'
import { DomainError } from '../../domain/errors.ts'
import type { Json } from '../../domain/json.ts'
import { moneyCommand, opening } from '../support/arbitrary-commands.ts'
import { refusalOf } from '../support/given.ts'

// What must hold of every account after every event, whatever the commands and their order were:
// holds, usage (beyond its hold, late, repeated), settlements, grants, adjustments, expiry, debt.

/** One accepted event, with the account around it. */
type Entry = {
  readonly command: AccountCommand
  readonly event: AccountEvent
  readonly before: Account
  readonly after: Account
}

const commands = fc
  .tuple(opening, fc.array(moneyCommand, { maxLength: 80, size: 'max' }))
  .map(([first, rest]) => [first, ...rest])

function ledgerOf(all: readonly AccountCommand[]): readonly Entry[] {
  const entries: Entry[] = []
  let account = accountDecider.initial
  for (const command of all) {
    const answer = refusalOf(accountDecider, account, command)
    if (answer instanceof DomainError) continue
    for (const event of answer) {
      const before = account
      account = accountDecider.evolve(before, event)
      entries.push({ command, event, before, after: account })
    }
  }
  return entries
}

function always(name: string, check: (entries: readonly Entry[]) => void): void {
  test(name, () => {
    const property = fc.property(commands, (all) => {
      check(ledgerOf(all))
    })
    fc.assert(property, { numRuns: 150 })
  })
}

always('posted = granted − revoked − expired − charged, after every event', (entries) => {
  let posted = 0n
  for (const { event, after } of entries) {
    posted += movement(event)
    expect(after.posted).toBe(posted)
  }
})

always('posted = what is left of the grants − debt, and never both', (entries) => {
  for (const { after } of entries) {
    const left = sum(after.grants.map((grant) => grant.remaining))
    expect(after.posted).toBe(left - after.debt)
    expect(after.grants.every((grant) => grant.remaining > 0n)).toBe(true)
    expect(after.debt === 0n || (after.debt > 0n && left === 0n)).toBe(true)
  }
})

always('held = what is left of the open holds', (entries) => {
  for (const { after } of entries) {
    const holds = [...after.holds.values()].map((hold) => hold.remaining)
    expect(after.held).toBe(sum(holds))
    expect(holds.every((remaining) => remaining >= 0n)).toBe(true)
  }
})

// I4. `room` is what is available before expiry is looked at.
always('nothing but an overrun takes the balance below its limit', (entries) => {
  const room = (account: Account) => account.posted - account.held + account.overdraft
  for (const { event, before, after } of entries) {
    const change = room(after) - room(before)
    if (event.type === 'UsageRecorded') expect(change).toBe(-BigInt(event.data.overrunMicro))
    else if (change < 0n) expect(room(after) >= 0n).toBe(true)
  }
})

always('a hold is made exactly when it fits into what is available', (entries) => {
  for (const { command, event, before } of entries) {
    if (command.type !== 'HoldCredits' || event.type !== 'CreditsHeld') continue
    const { amount, at } = command
    const available = availableAt(before, at)
    expect(amount <= (available > 0n ? available : 0n)).toBe(true)
    const holdId = 'another'
    const most = { ...command, holdId, amount: available > 0n ? available : 0n }
    const more = { ...most, amount: most.amount + 1n }
    const made = expect.objectContaining({ type: 'CreditsHeld' })
    expect(refusalOf(accountDecider, before, most)).toContainEqual(made)
    expect(refusalOf(accountDecider, before, more)).toMatchObject({ code: 'insufficient_credits' })
  }
})

always('allocations + uncovered = charged, and from hold + overrun = charged', (entries) => {
  for (const { event, before } of entries) {
    if (event.type === 'UsageRecorded') {
      const { chargedMicro, fromHoldMicro, overrunMicro, holdId } = event.data
      const fromHold = BigInt(fromHoldMicro)
      expect(fromHold + BigInt(overrunMicro)).toBe(BigInt(chargedMicro))
      expect(fromHold <= (before.holds.get(holdId)?.remaining ?? 0n)).toBe(true)
      expect(taken(event) + BigInt(event.data.uncoveredMicro)).toBe(BigInt(chargedMicro))
    }
    if (event.type === 'CreditsRevoked') {
      const { amountMicro, uncoveredMicro } = event.data
      expect(taken(event) + BigInt(uncoveredMicro)).toBe(BigInt(amountMicro))
    }
  }
})

always(
  'a debit burns live grants in order, then expired ones, and only then makes debt',
  (entries) => {
    for (const { command, event, before } of entries) {
      if (event.type !== 'UsageRecorded' && event.type !== 'CreditsRevoked') continue
      if (!('at' in command)) throw new Error('a debit has its time')
      const order = before.grants.toSorted((a, b) =>
        burnKey(a, command.at) < burnKey(b, command.at) ? -1 : 1,
      )
      const { allocations } = event.data
      expect(allocations.map(({ grantId }) => grantId)).toEqual(
        order.slice(0, allocations.length).map(({ grantId }) => grantId),
      )
      const full = BigInt(event.data.uncoveredMicro) > 0n ? order.length : allocations.length - 1
      allocations.forEach(({ amountMicro }, index) => {
        const remaining = order[index]!.remaining
        expect(BigInt(amountMicro) > 0n && BigInt(amountMicro) <= remaining).toBe(true)
        if (index < full) expect(BigInt(amountMicro)).toBe(remaining)
      })
      if (full === order.length) expect(allocations).toHaveLength(order.length)
    }
  },
)

always('only a grant beyond its date expires, and never what a hold reserves', (entries) => {
  for (const { command, event, before, after } of entries) {
    if (event.type !== 'CreditsExpired') continue
    if (!('at' in command)) throw new Error('an expiry has its time')
    const grant = before.grants.find(({ grantId }) => grantId === event.data.grantId)
    expect((grant?.expiresAt ?? '~') <= command.at).toBe(true)
    expect(after.posted >= after.held).toBe(true)
    expect(availableAt(after, command.at)).toBe(availableAt(before, command.at))
  }
})

always('a hold finds nothing that has expired, but what other holds reserve', (entries) => {
  for (const { command, event, before } of entries) {
    if (event.type !== 'CreditsHeld' || command.type !== 'HoldCredits') continue
    const { posted, held, overdraft } = before
    expect(availableAt(before, command.at)).toBe(posted - held + overdraft)
  }
})

always('every hold is made once and settled at most once, to the last micro-credit', (entries) => {
  const open = new Map<string, { held: bigint; fromHold: bigint; charged: bigint }>()
  const seen = new Set<string>()
  for (const { event } of entries) {
    if (event.type === 'CreditsHeld') {
      const { holdId, amountMicro } = event.data
      expect(seen.has(holdId)).toBe(false)
      seen.add(holdId)
      open.set(holdId, { held: BigInt(amountMicro), fromHold: 0n, charged: 0n })
    }
    if (event.type === 'UsageRecorded') {
      const hold = open.get(event.data.holdId)
      expect(seen.has(event.data.holdId)).toBe(true)
      if (!hold) continue
      hold.fromHold += BigInt(event.data.fromHoldMicro)
      hold.charged += BigInt(event.data.chargedMicro)
    }
    if (event.type === 'HoldSettled') {
      const { holdId, chargedMicro, releasedMicro } = event.data
      const hold = open.get(holdId)
      expect(hold?.charged).toBe(BigInt(chargedMicro))
      expect(hold && hold.held - hold.fromHold).toBe(BigInt(releasedMicro))
      open.delete(holdId)
    }
  }
  expect([...(entries.at(-1)?.after.holds.keys() ?? [])].sort()).toEqual([...open.keys()].sort())
})

always('a usage id is counted once on its hold, before and after the settlement', (entries) => {
  const counted = entries.flatMap(({ event }) =>
    event.type === 'UsageRecorded' ? [`${event.data.holdId} ${event.data.usageId}`] : [],
  )
  expect(new Set(counted).size).toBe(counted.length)
})

always('grants, revocations and the whole of an expired grant happen once', (entries) => {
  const ids = entries.flatMap(({ event }) => {
    if (event.type === 'CreditsGranted') return [event.data.grantId]
    return event.type === 'CreditsRevoked' ? [event.data.revocationId] : []
  })
  expect(new Set(ids).size).toBe(ids.length)
  const expired = new Map<string, bigint>()
  const granted = new Map<string, bigint>()
  for (const { event } of entries) {
    if (event.type === 'CreditsGranted') granted.set(event.data.grantId, movement(event))
    if (event.type !== 'CreditsExpired') continue
    const { grantId } = event.data
    expired.set(grantId, (expired.get(grantId) ?? 0n) - movement(event))
    expect(expired.get(grantId)! <= granted.get(grantId)!).toBe(true)
  }
})

always('a snapshot is the account, for what follows too', (entries) => {
  const middle = Math.floor(entries.length / 2)
  const original = entries[middle]?.before ?? accountDecider.initial
  const copy = decodeAccount(JSON.parse(JSON.stringify(encodeAccount(original))) as Json)
  if (!copy) throw new Error('the snapshot cannot be read')
  expectSame(copy, original)
  const { command } = entries[middle] ?? {}
  if (!command) return
  const rest = entries.slice(middle).map(({ event }) => event)
  expectSame(rest.reduce(accountDecider.evolve, copy), entries.at(-1)!.after)
  expect(refusalOf(accountDecider, copy, command)).toEqual(
    refusalOf(accountDecider, original, command),
  )
})

test('the random ledgers contain what they are to check', () => {
  const seen = { overrun: 0, late: 0, debt: 0, debtPaid: 0, partlyExpired: 0, refusedHold: 0 }
  for (const all of fc.sample(commands, { numRuns: 200, seed: 1 })) {
    const entries = ledgerOf(all)
    for (const { event, before, after } of entries) {
      if (event.type === 'UsageRecorded') {
        const { holdId, overrunMicro, chargedMicro, uncoveredMicro } = event.data
        if (overrunMicro !== '0' && overrunMicro !== chargedMicro) seen.overrun += 1
        if (!before.holds.has(holdId)) seen.late += 1
        if (uncoveredMicro !== '0') seen.debt += 1
      }
      if (event.type === 'CreditsGranted' && event.data.coversDebtMicro !== '0') seen.debtPaid += 1
      if (event.type !== 'CreditsExpired') continue
      const { grantId } = event.data
      if (after.grants.some((grant) => grant.grantId === grantId)) seen.partlyExpired += 1
    }
    const asked = all.filter(({ type }) => type === 'HoldCredits').length
    const held = entries.filter(({ event }) => event.type === 'CreditsHeld').length
    if (held < asked) seen.refusedHold += 1
  }
  expect(Object.entries(seen).filter(([, count]) => count < 10)).toEqual([])
})

test('a snapshot of another shape is not read', () => {
  expect(accountSnapshotVersion).toBe(4)
  expect([null, 'x', 1, [], {}, { holds: [] }].map(decodeAccount)).toEqual(Array(6).fill(null))
})

test('folding never throws, whatever the order of the events', () => {
  const shuffled = commands
    .map((all) => ledgerOf(all).map(({ event }) => event))
    .chain((events) => fc.shuffledSubarray(events))
  fc.assert(
    fc.property(shuffled, (events) => {
      events.reduce(accountDecider.evolve, accountDecider.initial)
    }),
  )
})

function movement(event: AccountEvent): bigint {
  if (event.type === 'CreditsGranted') return BigInt(event.data.amountMicro)
  if (event.type === 'UsageRecorded') return -BigInt(event.data.chargedMicro)
  if (event.type === 'CreditsRevoked' || event.type === 'CreditsExpired') {
    return -BigInt(event.data.amountMicro)
  }
  return 0n
}

type Debit = Extract<AccountEvent, { type: 'UsageRecorded' | 'CreditsRevoked' }>

function taken(event: Debit): bigint {
  return sum(event.data.allocations.map(({ amountMicro }) => BigInt(amountMicro)))
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n)
}

/** The burn order in other words than the code's: one text per grant, smaller burns first. */
function burnKey(grant: Account['grants'][number], at: string): string {
  const { priority, expiresAt, kind, effectiveAt, sequence } = grant
  const gone = expiresAt !== null && expiresAt <= at ? '1' : '0'
  const number = (value: number) => value.toString().padStart(9, '0')
  const promo = kind === 'promo' ? '0' : '1'
  return [gone, number(priority), expiresAt ?? '~', promo, effectiveAt, number(sequence)].join('|')
}

function expectSame(a: Account, b: Account): void {
  expect(plain(a)).toEqual(plain(b))
  expect(is(a.entryIds, b.entryIds)).toBe(true)
  expect(is(a.closed.usageIds, b.closed.usageIds)).toBe(true)
  expect(is(a.closed.order, b.closed.order)).toBe(true)
}

function plain({ holds, entryIds: _, closed, ...rest }: Account) {
  const open = [...holds].map(([holdId, { usageIds, ...hold }]) => {
    return [holdId, { ...hold, usageIds: usageIds.toArray().sort() }]
  })
  return { ...rest, holds: Object.fromEntries(open) as unknown, closedSize: closed.size }
}
