import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accountDecider } from '../../../domain/account/account.ts'
import type { Account } from '../../../domain/account/account.ts'
import type { AccountCommand } from '../../../domain/account/account-commands.ts'
import type { AccountEvent } from '../../../domain/account/account-events.ts'
import { DomainError } from '../../../domain/errors.ts'
import { chainHash, genesisHash } from '../../../domain/ledger/canonical.ts'
import { ledger, ledgerEntryTable, ledgerHeadTable } from '../../../projections/ledger.ts'
import type { LedgerEntryRow } from '../../../projections/ledger.ts'
import * as account from '../../support/account-history.ts'
import { accountCommand, opening } from '../../support/arbitrary-commands.ts'
import { refusalOf } from '../../support/given.ts'
import { at } from '../../support/job-history.ts'
import { heardAlarm, noAlarm, ProjectedRows, Recorder } from '../../support/recorded.ts'

type Prefix = { readonly event: AccountEvent; readonly state: Account }

/** What random commands leave on an account, with the state after each event. */
const histories = fc
  .tuple(opening, fc.array(accountCommand, { maxLength: 60, size: 'max' }))
  .map(([first, rest]) => {
    const prefixes: Prefix[] = []
    let state = accountDecider.initial
    for (const command of [first, ...rest]) {
      const answer = refusalOf(accountDecider, state, command)
      if (answer instanceof DomainError) continue
      for (const event of answer) {
        state = accountDecider.evolve(state, event)
        prefixes.push({ event, state })
      }
    }
    return prefixes
  })

const entriesIn = ({ store }: ProjectedRows): readonly LedgerEntryRow[] =>
  store.all(ledgerEntryTable) as unknown as LedgerEntryRow[]

const signed = ({ direction, amountMicro }: LedgerEntryRow): bigint =>
  direction === 'credit' ? BigInt(amountMicro) : -BigInt(amountMicro)

async function entriesAfter(...commands: readonly AccountCommand[]) {
  const recorder = new Recorder()
  const rows = new ProjectedRows(ledger(noAlarm))
  await rows.page(account.historyOf(...commands).map((event) => recorder.account(event)))
  return entriesIn(rows)
}

describe('the ledger of any account', () => {
  test('sums to zero in each transaction, currency by currency', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (prefixes) => {
        const recorder = new Recorder()
        const rows = new ProjectedRows(ledger(noAlarm))
        await rows.page(prefixes.map(({ event }) => recorder.account(event)))
        const sums = new Map<string, bigint>()
        for (const entry of entriesIn(rows)) {
          const key = `${entry.txId} ${entry.currency}`
          sums.set(key, (sums.get(key) ?? 0n) + signed(entry))
          expect(BigInt(entry.amountMicro) >= 0n).toBe(true)
        }
        expect([...sums.values()].filter((sum) => sum !== 0n)).toEqual([])
      }),
      { numRuns: 100 },
    )
  })

  test('stands where the account stands, after every event', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (prefixes) => {
        const recorder = new Recorder()
        const rows = new ProjectedRows(ledger(noAlarm))
        for (const { event, state } of prefixes) {
          await rows.page([recorder.account(event)])
          const entries = entriesIn(rows)
          const credits = entries.filter((entry) => entry.account === 'customer_credit')
          expect(BigInt(credits.at(-1)?.balanceAfterMicro ?? '0')).toBe(state.posted)
          expect(BigInt(entries.at(-1)?.heldAfterMicro ?? '0')).toBe(state.held)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('counts its entries without holes, each with the balance of its account', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (prefixes) => {
        const recorder = new Recorder()
        const rows = new ProjectedRows(ledger(noAlarm))
        await rows.page(prefixes.map(({ event }) => recorder.account(event)))
        const entries = entriesIn(rows)
        expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1))
        const ids = entries.map(({ entryId }) => entryId)
        expect(ids.toSorted()).toEqual(ids)
        const balances = new Map<string, bigint>()
        for (const entry of entries) {
          const name = `${entry.currency} ${entry.account}`
          const balance = (balances.get(name) ?? 0n) + signed(entry)
          balances.set(name, balance)
          expect(BigInt(entry.balanceAfterMicro)).toBe(balance)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('does not depend on where pages end, nor on events that are seen twice', async () => {
    const cases = fc.tuple(histories, fc.array(fc.nat({ max: 9 }), { minLength: 1 }))
    await fc.assert(
      fc.asyncProperty(cases, async ([prefixes, sizes]) => {
        const recorder = new Recorder()
        const events = prefixes.map(({ event }) => recorder.account(event))
        const once = await new ProjectedRows(ledger(noAlarm)).pages(events)
        const paged = new ProjectedRows(ledger(noAlarm))
        let from = 0
        for (let turn = 0; from < events.length; turn += 1) {
          const to = from + 1 + (sizes[turn % sizes.length] ?? 0)
          await paged.page(events.slice(Math.max(0, from - 2), to))
          from = to
        }
        expect(paged.everything()).toEqual(once.everything())
      }),
      { numRuns: 50 },
    )
  })

  test('has the hashes that its events give from the first one on', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (prefixes) => {
        const recorder = new Recorder()
        const events = prefixes.map(({ event }) => recorder.account(event))
        const rows = await new ProjectedRows(ledger(noAlarm)).pages(events)
        const links = new Map<string, readonly [string, string]>()
        let last = genesisHash
        for (const event of events) {
          const hash = chainHash(sha256, last, event)
          links.set(event.id, [last, hash])
          last = hash
        }
        for (const { txId, prevHash, hash } of entriesIn(rows)) {
          expect([prevHash, hash]).toEqual(links.get(txId))
        }
        expect(rows.store.all(ledgerHeadTable)[0]).toMatchObject({ hash: last })
      }),
      { numRuns: 50 },
    )
  })
})

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The entries in short: account, direction, amount, balance after, held after. */
const short = (entries: readonly LedgerEntryRow[]) =>
  entries.map(({ kind, account: name, direction, amountMicro, ...after }) => {
    const { balanceAfterMicro, heldAfterMicro } = after
    return `${kind}: ${direction} ${name} ${amountMicro} → ${balanceAfterMicro}, ${heldAfterMicro}`
  })

describe('a statement', () => {
  test('tells a job from its hold to its release', async () => {
    const entries = await entriesAfter(
      account.openAccount(),
      account.grant('g1', 100n),
      account.hold('h1', 50n),
      account.use('u1', 'h1', 20n),
      account.settle('h1'),
    )
    expect(short(entries)).toEqual([
      'grant: credit customer_credit 100 → 100, 0',
      'grant: debit stripe_clearing 100 → -100, 0',
      'hold: credit held 50 → 50, 50',
      'hold: debit held 50 → 0, 50',
      'usage: debit customer_credit 20 → 80, 30',
      'usage: credit revenue 20 → 20, 30',
      'usage: debit provider_cost 0 → 0, 30',
      'usage: credit adjustments 0 → 0, 30',
      'release: credit held 30 → 30, 0',
      'release: debit held 30 → 0, 0',
    ])
    expect(entries[4]).toMatchObject({
      ...{ seq: 5, orgId: 'acme', jobId: 'h1', callId: 'u1', provider: 'local', model: null },
      ...{ unitsIn: '12', unitsOut: null, ms: 30, costNanoUsd: '7', priceVersion: 1 },
      ...{ grantId: 'g1', grantKind: 'purchase', currency: 'CREDIT', reason: 'image.upscale' },
      ...{ actor: 'key:k1', source: 'key', bookedAtUtc: at(4), recordedAtUtc: at(4) },
    })
    expect(entries[5]).toMatchObject({ callId: 'u1', ms: null, costNanoUsd: null, unitsIn: null })
  })

  test('takes promised credits back from where they came, and keeps paid ones', async () => {
    const entries = await entriesAfter(
      account.openAccount(),
      account.grant('g1', 30n, { kind: 'promo', expiresAt: at(10) }),
      account.grant('g2', 20n, { expiresAt: at(10) }),
      account.expire(at(20)),
    )
    expect(short(entries.filter(({ kind }) => kind === 'expiry'))).toEqual([
      'expiry: debit customer_credit 30 → 20, 0',
      'expiry: credit promo 30 → 0, 0',
      'expiry: debit customer_credit 20 → 0, 0',
      'expiry: credit breakage 20 → 20, 0',
    ])
  })

  test('names each grant that paid, and what none paid', async () => {
    const entries = await entriesAfter(
      account.openAccount(100n),
      account.grant('g1', 10n),
      account.grant('g2', 20n, { kind: 'promo', expiresAt: at(90) }),
      account.hold('h1', 50n),
      account.use('u1', 'h1', 45n),
    )
    const paid = entries.filter((entry) => entry.kind === 'usage' && entry.direction === 'debit')
    expect(paid.map((entry) => [entry.account, entry.grantId, entry.amountMicro])).toEqual([
      ['customer_credit', 'g2', '20'],
      ['customer_credit', 'g1', '10'],
      ['customer_credit', null, '15'],
      ['provider_cost', null, '0'],
    ])
  })

  test('hides no cost by rounding: small ones add up', async () => {
    const cost = (id: string, costNanoUsd: string): AccountCommand => ({
      type: 'RecordUsage',
      usage: { ...account.usage(id, 'h1', 0n), costNanoUsd },
      at: at(3),
    })
    const entries = await entriesAfter(
      account.openAccount(),
      account.hold('h1', 0n),
      cost('u1', '600'),
      cost('u2', '600'),
      cost('u3', '1900'),
    )
    const costs = entries.filter((entry) => entry.account === 'provider_cost')
    expect(costs.map((entry) => [entry.amountMicro, entry.balanceAfterMicro])).toEqual([
      ['0', '0'],
      ['1', '-1'],
      ['2', '-3'],
    ])
  })

  test('holds nothing of another org', async () => {
    const recorder = new Recorder()
    const rows = new ProjectedRows(ledger(noAlarm))
    const history = account.historyOf(account.openAccount(), account.grant('g1', 7n))
    await rows.page(
      ['acme', 'zoo'].flatMap((org) => history.map((each) => recorder.account(each, org))),
    )
    const entries = entriesIn(rows).map(({ orgId, seq, balanceAfterMicro }) => {
      return [orgId, seq, balanceAfterMicro]
    })
    expect(entries).toEqual([
      ['acme', 1, '7'],
      ['acme', 2, '-7'],
      ['zoo', 1, '7'],
      ['zoo', 2, '-7'],
    ])
  })
})

test('a hole in an account is told, in the middle and at the beginning', async () => {
  const recorder = new Recorder()
  const [opened, , second] = account
    .historyOf(account.openAccount(), account.grant('g1', 10n), account.grant('g2', 5n))
    .map((event) => recorder.account(event))
  const { alarm, holes } = heardAlarm()
  await new ProjectedRows(ledger(alarm)).pages([opened!], [second!])
  await new ProjectedRows(ledger(alarm)).pages([second!])
  expect(holes).toEqual([
    { projection: 'ledger', stream: 'account-acme', seen: 0, got: 2 },
    { projection: 'ledger', stream: 'account-acme', seen: -1, got: 2 },
  ])
})
