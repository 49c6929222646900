import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accountDecider } from '../../domain/account/account.ts'
import type { Account } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import { decodeAccount, encodeAccount } from '../../domain/account/account-snapshot.ts'
import { alertPercents } from '../../domain/account/alerts.ts'
import { DomainError } from '../../domain/errors.ts'
import type { Json } from '../../domain/json.ts'
import * as a from '../support/account-history.ts'
import { accountCommand, opening } from '../support/arbitrary-commands.ts'
import { given as givenEvents, refusalOf } from '../support/given.ts'
import { at } from '../support/job-history.ts'

const day = 86_400

function given(...commands: readonly AccountCommand[]) {
  return givenEvents(accountDecider, a.historyOf(...commands))
}

/** What was told, in words: `50` of the balance, `org spend 50` of a limit. */
function told(events: readonly AccountEvent[]): readonly string[] {
  return events.flatMap((event) => {
    if (event.type === 'BalanceThresholdReached') return [String(event.data.percent)]
    if (event.type !== 'LimitThresholdReached') return []
    const { scope, key, kind, percent } = event.data
    return [`${key ?? scope} ${kind} ${percent}`]
  })
}

/** What the last of the commands tells. */
function toldBy(...commands: readonly AccountCommand[]): readonly string[] {
  const before = a.historyOf(...commands.slice(0, -1))
  return told(a.historyOf(...commands).slice(before.length))
}

const use = (usageId: string, charged: bigint, time = at(3)) => a.use(usageId, 'h1', charged, time)

describe('an alert of the balance', () => {
  const held = [a.openAccount(), a.grant('g1', 100n), a.hold('h1', 90n)] as const

  test('tells how much is used, and what is left', () => {
    const usage = a.usage('u1', 'h1', 50n)
    const parts = { uncoveredMicro: '0', fromHoldMicro: '50', overrunMicro: '0' }
    const allocations = [{ grantId: 'g1', amountMicro: '50' }]
    const balance = { postedMicro: '50', heldMicro: '40', overdraftMicro: '0' }
    given(...held)
      .when(use('u1', 50n))
      .then([
        { type: 'UsageRecorded', data: { ...usage, allocations, ...parts } },
        {
          type: 'BalanceThresholdReached',
          data: {
            ...{ percent: 50, grantedMicro: '100', reachedAt: at(3) },
            balance: { ...balance, availableMicro: '10' },
          },
        },
      ])
  })

  test('comes at 50, 80 and 100 percent, each once', () => {
    const steps = [49n, 1n, 29n, 1n, 19n, 1n, 5n].map((charged, n) => use(`u${n}`, charged))
    const spent = steps.map((_, n) => toldBy(...held, ...steps.slice(0, n + 1)))
    expect(spent).toEqual([[], ['50'], [], ['80'], [], ['100'], []])
  })

  test('is told for each percentage that one usage has passed', () => {
    expect(toldBy(...held, use('u1', 120n))).toEqual(['50', '80', '100'])
  })

  test('is not told again when the usage is told again', () => {
    given(...held, use('u1', 80n))
      .when(use('u1', 80n))
      .doesNothing()
  })

  test('is not about what is only held', () => {
    expect(toldBy(...held)).toEqual([])
    expect(toldBy(...held, a.hold('h2', 10n))).toEqual([])
  })

  test('comes too when credits expire or are taken back', () => {
    const expiring = a.grant('g2', 150n, { expiresAt: at(10) })
    const granted = [a.openAccount(), a.grant('g1', 100n), expiring]
    expect(toldBy(...granted, a.expire(at(10)))).toEqual(['50'])
    expect(toldBy(...held.slice(0, 2), a.adjust('a1', -80n))).toEqual(['50', '80'])
  })

  test('counts the overdraft as given', () => {
    const open = [a.openAccount(100n), a.hold('h1', 100n)]
    expect(toldBy(...open, use('u1', 49n))).toEqual([])
    expect(toldBy(...open, use('u1', 50n))).toEqual(['50'])
    expect(toldBy(...open, a.grant('g1', 100n), use('u1', 99n))).toEqual([])
  })

  test('is none on an account that was never given anything', () => {
    const open = [a.openAccount(), a.hold('h1', 0n)]
    expect(toldBy(...open, use('u1', 9n))).toEqual([])
  })

  test('is armed again by a grant that brings the balance below its percentage', () => {
    const low = [...held, use('u1', 85n)]
    // 85 of 110: 80 % is armed again, 50 % is not.
    const little = [...low, a.grant('g2', 10n)]
    expect(toldBy(...little, use('u2', 2n))).toEqual([])
    expect(toldBy(...little, use('u2', 3n))).toEqual(['80'])
    // 85 of 285: both are.
    const much = [...low, a.grant('g2', 185n)]
    expect(toldBy(...much, use('u2', 57n))).toEqual([])
    expect(toldBy(...much, use('u2', 58n))).toEqual(['50'])
  })

  test('forgets grants that are used up when the next one comes', () => {
    const again = [...held, use('u1', 100n), a.grant('g2', 10n)]
    expect(toldBy(...again, use('u2', 4n))).toEqual([])
    expect(toldBy(...again, use('u2', 5n))).toEqual(['50'])
  })

  test('stays told when a grant only pays debts', () => {
    const inDebt = [...held, use('u1', 130n), a.grant('g2', 30n)]
    expect(toldBy(...inDebt, use('u2', 5n))).toEqual([])
  })
})

describe('an alert of a quota', () => {
  const rich = [a.openAccount(), a.grant('g1', 10_000n)] as const
  const daily = (max: number | string, more: Parameters<typeof a.limit>[0] = {}) =>
    a.limit({ kind: 'spend', window: 'day', max, ...more })
  const limited = [...rich, a.setLimits([daily(100)])] as const

  test('tells of which limit how much is used, and until when', () => {
    given(...limited)
      .when(a.hold('h1', 60n))
      .then([
        {
          type: 'CreditsHeld',
          data: {
            ...{ holdId: 'h1', jobId: 'h1', amountMicro: '60' },
            ...{ heldAt: at(2), expiresAt: at(9e4) },
          },
        },
        {
          type: 'LimitThresholdReached',
          data: {
            ...{ scope: 'org', key: null, kind: 'spend', window: 'day', unit: null, max: 100 },
            ...{ percent: 50, used: '60', windowStart: at(0), resetAt: at(day), reachedAt: at(2) },
            balance: {
              ...{ postedMicro: '10000', heldMicro: '60', overdraftMicro: '0' },
              availableMicro: '9940',
            },
          },
        },
      ])
  })

  test('comes once in a window, whatever is released and held again', () => {
    const once = [...limited, a.hold('h1', 80n), a.settle('h1')]
    expect(toldBy(...limited, a.hold('h1', 80n))).toEqual(['org spend 50', 'org spend 80'])
    expect(toldBy(...once, a.hold('h2', 90n))).toEqual([])
    expect(toldBy(...once, a.hold('h2', 100n))).toEqual(['org spend 100'])
  })

  test('comes again in the next window', () => {
    const full = [...limited, a.hold('h1', 100n), use('u1', 100n), a.settle('h1')]
    expect(toldBy(...full, a.hold('h2', 50n, at(day)))).toEqual(['org spend 50'])
  })

  test('comes again in the next window though another limit was told of first', () => {
    const limits = a.setLimits([daily(100), daily(50, { scope: 'user' })])
    const first = [...rich, limits, { ...a.hold('h1', 50n), userId: 'ada' }, a.settle('h1')]
    const second = [...first, a.hold('h2', 50n, at(day))]
    expect(toldBy(...second)).toEqual(['org spend 50'])
    expect(toldBy(...second, { ...a.hold('h3', 50n, at(day)), userId: 'ada' })).toEqual([
      ...['org spend 80', 'org spend 100'],
      ...['ada spend 50', 'ada spend 80', 'ada spend 100'],
    ])
  })

  test('comes when a call costs more than was held', () => {
    const held = [...limited, a.hold('h1', 40n)]
    expect(toldBy(...held, use('u1', 40n))).toEqual([])
    expect(toldBy(...held, use('u1', 85n))).toEqual(['org spend 50', 'org spend 80'])
  })

  test('is not told of a window that is over and was followed by another', () => {
    const next = [...limited, a.hold('h1', 10n), a.hold('h2', 60n, at(day))]
    expect(toldBy(...next)).toEqual(['org spend 50'])
    // The call was made on the first day.
    expect(toldBy(...next, use('u1', 90n, at(day + 1)))).toEqual([])
  })

  test('is of each user apart', () => {
    const each = [...rich, a.setLimits([daily(100, { scope: 'user' })])]
    const of = (userId: string, holdId: string) => ({ ...a.hold(holdId, 50n), userId })
    expect(toldBy(...each, of('ada', 'h1'))).toEqual(['ada spend 50'])
    expect(toldBy(...each, of('ada', 'h1'), of('bob', 'h2'))).toEqual(['bob spend 50'])
  })

  test('is of units too', () => {
    const units = a.limit({ kind: 'units', window: 'month', unit: 'megapixels', max: 20 })
    const held = [...rich, a.setLimits([units]), a.hold('h1', 10n)]
    expect(toldBy(...held, use('u1', 1n))).toEqual(['org units 50'])
  })

  test('comes at once with limits that are reached already', () => {
    const used = [...rich, a.hold('h1', 80n), { ...a.hold('h2', 40n), userId: 'ada' }]
    const limits = [daily(240), daily(50, { scope: 'user', key: 'ada' })]
    expect(toldBy(...used, a.setLimits(limits))).toEqual([
      'org spend 50',
      ...['ada spend 50', 'ada spend 80'],
    ])
  })

  test('is one of another limit when the max is another', () => {
    const raised = [...limited, a.hold('h1', 60n), a.setLimits([daily(200)])]
    expect(toldBy(...raised)).toEqual([])
    expect(toldBy(...raised, a.hold('h2', 40n))).toEqual(['org spend 50'])
    expect(toldBy(...raised, a.setLimits([daily('100')]))).toEqual([])
  })

  test.each([
    ['requests', a.limit({ window: 'day', max: 1 })],
    ['concurrency', a.limit({ kind: 'concurrency', window: null, max: 1 })],
    ['a limit of nothing', daily(0)],
  ])('is none of %s', (_, limit) => {
    const limits = [...rich, a.setLimits([limit])]
    expect(toldBy(...limits, a.hold('h1', 0n), use('u1', 5n))).toEqual([])
  })
})

// Commands over days and users, as quotas see them.

const time = fc.integer({ min: 0, max: 40 }).map((quarters) => at((quarters * day) / 4))
const user = fc.constantFrom(null, 'ada', 'bob')
const holdId = fc.constantFrom('h1', 'h2', 'h3', 'h4', 'h5', 'h6')
const quotaCommand: fc.Arbitrary<AccountCommand> = fc.oneof(
  { arbitrary: accountCommand, weight: 3 },
  {
    arbitrary: fc
      .tuple(holdId, fc.bigInt(0n, 60n), time, user)
      .map(([id, amount, when, userId]) => ({ ...a.hold(id, amount, when), userId })),
    weight: 4,
  },
  {
    arbitrary: fc
      .tuple(fc.nat({ max: 30 }), holdId, fc.bigInt(0n, 60n), time, user)
      .map(([n, id, charged, calledAt, userId]): AccountCommand => {
        const usage = { ...a.usage(`u${n}`, id, charged), calledAt, userId }
        return { type: 'RecordUsage', usage, at: calledAt }
      }),
    weight: 4,
  },
)
const history = fc
  .tuple(opening, fc.array(quotaCommand, { maxLength: 80, size: 'max' }))
  .map(([first, rest]) => [first, a.grant('all', 300n), ...rest])

type Decided = { readonly events: readonly AccountEvent[]; readonly state: Account }

/** What the commands leave, step by step; every seventh state comes from a snapshot. */
function stepsOf(commands: readonly AccountCommand[]): readonly Decided[] {
  let state = accountDecider.initial
  return commands.flatMap((command, n) => {
    const events = refusalOf(accountDecider, state, command)
    if (events instanceof DomainError) return []
    state = events.reduce(accountDecider.evolve, state)
    if (n % 7 === 6) {
      const kept = JSON.parse(JSON.stringify(encodeAccount(state))) as Json
      state = decodeAccount(kept) ?? accountDecider.initial
    }
    return [{ events, state }]
  })
}

test('each percentage of a limit is told at most once in its window', () => {
  let seen = 0
  const property = fc.property(history, (commands) => {
    const names = new Set<string>()
    for (const event of stepsOf(commands).flatMap(({ events }) => events)) {
      if (event.type !== 'LimitThresholdReached') continue
      const { scope, key, kind, window, unit, max, windowStart, percent, used } = event.data
      const name = JSON.stringify([scope, key, kind, window, unit, max, windowStart, percent])
      expect(names).not.toContain(name)
      names.add(name)
      expect(BigInt(used) * 100n >= BigInt(max) * BigInt(percent)).toBe(true)
      seen += 1
    }
  })
  fc.assert(property, { numRuns: 300 })
  expect(seen).toBeGreaterThan(100)
})

const takes = ['UsageRecorded', 'CreditsRevoked', 'CreditsExpired']

test('each percentage of the balance is told, and once until a grant comes', () => {
  let seen = 0
  const property = fc.property(history, (commands) => {
    let since = new Set<number>()
    for (const { events, state } of stepsOf(commands)) {
      for (const event of events) {
        if (event.type === 'CreditsGranted') since = new Set()
        if (event.type !== 'BalanceThresholdReached') continue
        const { percent } = event.data
        expect(since).not.toContain(percent)
        since.add(percent)
        seen += 1
      }
      const { granted, told: highest } = state.alerts.balance
      const used = granted - state.posted - state.overdraft
      const reached = alertPercents.filter((each) => used * 100n >= granted * BigInt(each))
      const isTaken = events.some(({ type }) => takes.includes(type))
      if (isTaken && granted > 0n) expect(highest).toBeGreaterThanOrEqual(reached.at(-1) ?? 0)
    }
  })
  fc.assert(property, { numRuns: 300 })
  expect(seen).toBeGreaterThan(100)
})

test('a snapshot keeps what was told', () => {
  const limits = [a.limit({ kind: 'spend', window: 'day', max: 100 })]
  const { state } = given(a.openAccount(), a.grant('g1', 100n), a.setLimits(limits), {
    ...a.hold('h1', 60n),
  })
  const kept = JSON.parse(JSON.stringify(encodeAccount(state))) as Json
  expect(decodeAccount(kept)?.alerts).toEqual(state.alerts)
  expect(state.alerts.day.told.size).toBe(1)
})
