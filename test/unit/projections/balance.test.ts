import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Account } from '../../../domain/account/account.ts'
import type { AccountCommand } from '../../../domain/account/account-commands.ts'
import type { AccountEvent } from '../../../domain/account/account-events.ts'
import {
  accountBalanceTable,
  balance,
  creditGrantTable,
  creditHoldTable,
} from '../../../projections/balance.ts'
import { accountHistory } from '../../support/arbitrary-histories.ts'
import * as account from '../../support/account-history.ts'
import { at } from '../../support/job-history.ts'
import { heardAlarm, noAlarm, ProjectedRows, Recorder } from '../../support/recorded.ts'

const sum = (amounts: readonly string[]): bigint =>
  amounts.reduce((total, amount) => total + BigInt(amount), 0n)

function expectRowsToAgree({ store }: ProjectedRows, state: Account, revision: number): void {
  const [row, ...others] = store.all(accountBalanceTable)
  expect(others).toEqual([])
  const money = { posted: state.posted, held: state.held, overdraft: state.overdraft }
  const written = Object.entries(money).map(([name, amount]) => [name, amount.toString()])
  expect(row).toMatchObject({ orgId: 'acme', revision, ...(Object.fromEntries(written) as object) })

  const grants = store.all(creditGrantTable) as { grantId: string; remaining: string }[]
  const left = new Map(state.grants.map(({ grantId, remaining }) => [grantId, remaining]))
  for (const { grantId, remaining } of grants) {
    expect(BigInt(remaining)).toBe(left.get(grantId) ?? 0n)
    left.delete(grantId)
  }
  expect(left.size).toBe(0)
  expect(sum(grants.map(({ remaining }) => remaining))).toBe(state.posted + state.debt)

  const holds = store.all(creditHoldTable) as Record<'holdId' | 'remaining' | 'charged', string>[]
  expect(sum(holds.map(({ remaining }) => remaining))).toBe(state.held)
  const open = holds.filter((hold) => (hold as unknown as { isOpen: boolean }).isOpen)
  expect(open.map(({ holdId }) => holdId).sort()).toEqual([...state.holds.keys()].sort())
  for (const { holdId, remaining, charged } of open) {
    const { remaining: kept, charged: paid } = state.holds.get(holdId)!
    expect([BigInt(remaining), BigInt(charged)]).toEqual([kept, paid])
  }
}

describe('the rows of the balance', () => {
  test('say what the account says, after every event', async () => {
    await fc.assert(
      fc.asyncProperty(accountHistory, async (prefixes) => {
        const recorder = new Recorder()
        const rows = new ProjectedRows(balance(noAlarm))
        for (const { event, state } of prefixes) {
          const recorded = recorder.account(event)
          await rows.page([recorded])
          expectRowsToAgree(rows, state, recorded.revision)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('do not depend on where pages end, nor on events that are seen twice', async () => {
    const cases = fc.tuple(accountHistory, fc.array(fc.nat({ max: 9 }), { minLength: 1 }))
    await fc.assert(
      fc.asyncProperty(cases, async ([prefixes, sizes]) => {
        const recorder = new Recorder()
        const events = prefixes.map(({ event }) => recorder.account(event))
        const once = await new ProjectedRows(balance(noAlarm)).pages(events)
        const paged = new ProjectedRows(balance(noAlarm))
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
})

async function rowsAfter(...commands: readonly AccountCommand[]) {
  const recorder = new Recorder()
  const rows = new ProjectedRows(balance(noAlarm))
  await rows.page(account.historyOf(...commands).map((event) => recorder.account(event)))
  return rows.store
}

describe('an account', () => {
  test('has its name and overdraft from the start', async () => {
    const store = await rowsAfter(account.openAccount(25n))
    expect(store.all(accountBalanceTable)).toEqual([
      {
        ...{
          orgId: 'acme',
          name: 'Acme',
          status: 'active',
          throttledUntil: null,
          openedAt: at(0),
          revision: 0,
        },
        ...{ posted: '0', held: '0', overdraft: '25' },
      },
    ])
  })

  test('has the grants that it was given, less what paid an earlier debt', async () => {
    const store = await rowsAfter(
      account.openAccount(100n),
      account.hold('h1', 60n),
      account.use('u1', 'h1', 60n),
      account.settle('h1'),
      account.grant('g1', 200n, { expiresAt: at(500) }),
    )
    expect(store.all(creditGrantTable)).toEqual([
      {
        ...{ grantId: 'g1', orgId: 'acme', kind: 'purchase', amount: '200', remaining: '140' },
        ...{ priority: 100, reason: 'bought', grantedAt: at(1), expiresAt: at(500) },
      },
    ])
    expect(store.all(accountBalanceTable)[0]).toMatchObject({ posted: '140', held: '0' })
  })

  test('shows what a job holds and was charged, also when usage comes late', async () => {
    const opened = [account.openAccount(), account.grant('g1', 200n), account.hold('h1', 50n)]
    const used = [...opened, account.use('u1', 'h1', 20n)]
    const held = { holdId: 'h1', orgId: 'acme', jobId: 'h1', heldAt: at(2), expiresAt: at(9e4) }
    expect((await rowsAfter(...used)).all(creditHoldTable)).toEqual([
      { ...held, remaining: '30', charged: '20', isOpen: true },
    ])
    const late = [...used, account.settle('h1'), account.use('u2', 'h1', 5n)]
    const store = await rowsAfter(...late)
    const closed = { ...held, remaining: '0', charged: '25', isOpen: false }
    expect(store.all(creditHoldTable)).toEqual([closed])
    expect(store.all(accountBalanceTable)[0]).toMatchObject({ posted: '175', held: '0' })
  })

  test('shows its standing: a ban hides a throttle, reinstating lifts both', async () => {
    const standing = async (...commands: readonly AccountCommand[]) => {
      const store = await rowsAfter(account.openAccount(), ...commands)
      const { status, throttledUntil } = store.all(accountBalanceTable)[0] ?? {}
      return [status, throttledUntil]
    }
    const throttled = account.throttle(3, at(50))
    expect(await standing(throttled)).toEqual(['throttled', at(50)])
    expect(await standing(account.ban)).toEqual(['banned', null])
    const both = [account.ban, throttled]
    expect((await standing(...both))[0]).toBe('banned')
    expect(await standing(...both, account.reinstate)).toEqual(['active', null])
  })

  test('does not touch another one', async () => {
    const recorder = new Recorder()
    const rows = new ProjectedRows(balance(noAlarm))
    const [opened, granted] = account.historyOf(account.openAccount(), account.grant('g1', 7n))
    await rows.page([
      recorder.account(opened!),
      recorder.account(
        { ...opened!, data: { ...opened!.data, orgId: 'zoo' } } as AccountEvent,
        'zoo',
      ),
      recorder.account(granted!, 'zoo'),
    ])
    const posted = rows.store.all(accountBalanceTable).map((row) => [row['orgId'], row['posted']])
    expect(posted).toEqual([
      ['acme', '0'],
      ['zoo', '7'],
    ])
  })
})

describe('a hole in an account', () => {
  const events = account.historyOf(
    account.openAccount(),
    account.grant('g1', 10n),
    account.grant('g2', 5n),
  )

  test('is told', async () => {
    const recorder = new Recorder()
    const [opened, , second] = events.map((event) => recorder.account(event))
    const { alarm, holes } = heardAlarm()
    await new ProjectedRows(balance(alarm)).pages([opened!], [second!])
    expect(holes).toEqual([{ projection: 'balance', stream: 'account-acme', seen: 0, got: 2 }])
  })

  test('is told when the account was never opened', async () => {
    const recorder = new Recorder()
    const [, granted] = events.map((event) => recorder.account(event))
    const { alarm, holes } = heardAlarm()
    await new ProjectedRows(balance(alarm)).pages([granted!])
    expect(holes).toEqual([{ projection: 'balance', stream: 'account-acme', seen: -1, got: 1 }])
  })
})
