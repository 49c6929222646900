import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accountDecider } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import { decodeAccount, encodeAccount } from '../../domain/account/account-snapshot.ts'
import { windowEnd, windowStart } from '../../domain/account/limit-window.ts'
import { limitsFor } from '../../domain/account/limits.ts'
import { usedOf } from '../../domain/account/quota.ts'
import { statusAt, throttleAt } from '../../domain/account/standing.ts'
import { DomainError } from '../../domain/errors.ts'
import type { Json } from '../../domain/json.ts'
import * as a from '../support/account-history.ts'
import { accountCommand, opening } from '../support/arbitrary-commands.ts'
import { given as givenEvents, refusalOf } from '../support/given.ts'
import { at } from '../support/job-history.ts'

function given(...commands: readonly AccountCommand[]) {
  return givenEvents(accountDecider, a.historyOf(...commands))
}

/** What the commands leave, but for alerts: they have tests of their own. */
function quietHistoryOf(...commands: readonly AccountCommand[]) {
  return a.historyOf(...commands).filter((event) => !a.isAlert(event))
}

const rich = [a.openAccount(), a.grant('g1', 10_000n)] as const
const daily = (max: number | string, more: Parameters<typeof a.limit>[0] = {}) =>
  a.limit({ kind: 'spend', window: 'day', max, ...more })

describe('windows', () => {
  test.each([
    ['day', '2026-02-28T23:59:59.999Z', '2026-02-28', '2026-03-01'],
    ['day', '2028-02-28T00:00:00.000Z', '2028-02-28', '2028-02-29'],
    ['day', '2026-12-31T12:00:00.000Z', '2026-12-31', '2027-01-01'],
    ['month', '2026-01-31T12:00:00.000Z', '2026-01-01', '2026-02-01'],
    ['month', '2026-12-01T00:00:00.000Z', '2026-12-01', '2027-01-01'],
  ] as const)('the %s of %s is that of UTC', (window, time, start, end) => {
    expect(windowStart(window, time)).toBe(`${start}T00:00:00.000Z`)
    expect(windowEnd(window, time)).toBe(`${end}T00:00:00.000Z`)
  })

  test('a time lies in its window, and its end in the next one', () => {
    const time = fc.date({ min: new Date('2020-01-01'), max: new Date('2040-01-01') })
    const window = fc.constantFrom('day', 'month')
    const property = fc.property(time.filter(isValid), window, (date, each) => {
      const now = date.toISOString()
      const end = windowEnd(each, now)
      expect(windowStart(each, now) <= now && now < end).toBe(true)
      expect(windowStart(each, end)).toBe(end)
    })
    fc.assert(property)
  })
})

const isValid = (date: Date): boolean => !Number.isNaN(date.getTime())

describe('the standing of an account', () => {
  const previous = [a.limit()]
  test('has limits, and tells what they were before', () => {
    const limits = [a.limit({ max: 9 })]
    given(a.openAccount(), a.setLimits(previous))
      .when(a.setLimits(limits))
      .then([{ type: 'LimitsSet', data: { limits, previous, reason: 'plan', setAt: at(1) } }])
    given(a.openAccount(), a.setLimits(limits)).when(a.setLimits(limits)).doesNothing()
  })

  test('is throttled until a time', () => {
    const { state } = given(a.openAccount(), a.throttle(3, at(30)))
    expect(throttleAt(state.standing, at(29))).toMatchObject({ requestsPerMinute: 3 })
    expect(throttleAt(state.standing, at(30))).toBeNull()
    expect([29, 30].map((s) => statusAt(state.standing, at(s)))).toEqual(['throttled', 'active'])
  })

  test('is banned, and reinstated from ban and throttle at once', () => {
    const { state } = given(a.openAccount(), a.throttle(3), a.ban)
    expect(statusAt(state.standing, at(9))).toBe('banned')
    given(a.openAccount(), a.throttle(3), a.ban)
      .when(a.reinstate)
      .then([
        {
          type: 'AccountReinstated',
          data: {
            ...{ reason: 'a mistake', reinstatedAt: at(3) },
            previous: { status: 'banned', throttle: { requestsPerMinute: 3, until: null } },
          },
        },
      ])
    const after = given(a.openAccount(), a.throttle(3), a.ban, a.reinstate).state
    expect(statusAt(after.standing, at(9))).toBe('active')
  })

  test('does nothing the second time', () => {
    given(a.openAccount(), a.ban).when(a.ban).doesNothing()
    given(a.openAccount(), a.throttle(3)).when(a.throttle(3)).doesNothing()
    given(a.openAccount()).when(a.reinstate).doesNothing()
  })

  test('is throttled anew until another time, and reinstated without a ban', () => {
    const throttled = [a.openAccount(), a.throttle(3, at(30))]
    const longer = given(...throttled, a.throttle(3, at(60))).state
    expect(statusAt(longer.standing, at(40))).toBe('throttled')
    expect(statusAt(given(...throttled, a.reinstate).state.standing, at(9))).toBe('active')
  })
})

describe('a hold', () => {
  test('is refused on a banned account, also for a job without a price', () => {
    given(...rich, a.ban)
      .when(a.hold('h1', 10n))
      .refuses('account_banned')
    given(...rich, a.ban)
      .when(a.hold('h1', 0n))
      .refuses('account_banned')
  })

  test('that was made before the ban is used and settled as ever', () => {
    const banned = [...rich, a.hold('h1', 10n), a.ban]
    given(...banned)
      .when(a.hold('h1', 10n))
      .doesNothing()
    expect(quietHistoryOf(...banned, a.use('u1', 'h1', 10n), a.settle('h1')).at(-1)).toMatchObject({
      type: 'HoldSettled',
      data: { chargedMicro: '10' },
    })
  })

  test('is refused as stale when the limits were changed after admission', () => {
    const hold = { ...a.hold('h1', 10n), standingVersion: 0 }
    expect(quietHistoryOf(...rich, a.setLimits([]), hold)).toHaveLength(3)
    given(...rich, a.setLimits([a.limit()]))
      .when(hold)
      .refuses('conflict', { isStale: true })
  })

  test('keeps whose it is and what it plans', () => {
    const planned = [{ provider: 'local', amount: 10n, units: { megapixels: 12n } }]
    const event = a.historyOf(...rich, { ...a.hold('h1', 10n), userId: 'ada', planned }).at(-1)
    expect(event).toMatchObject({
      data: {
        userId: 'ada',
        planned: [{ provider: 'local', amountMicro: '10', units: { megapixels: '12' } }],
      },
    })
  })
})

describe('a quota of spend', () => {
  const limited = [...rich, a.setLimits([daily(100)])]

  test('counts what is held, and refuses with its arithmetic', () => {
    given(...limited, a.hold('h1', 70n))
      .when(a.hold('h2', 31n))
      .refuses('quota_exceeded', {
        ...{ limit: 100, scope: 'org', used: 70, policy: 'org-spend' },
        resetAt: windowEnd('day', at(2)),
      })
    expect(quietHistoryOf(...limited, a.hold('h1', 70n), a.hold('h2', 30n))).toHaveLength(5)
  })

  test('is over when its override is, if that is before the end of its window', () => {
    const override = { ...daily(0), until: at(9) }
    given(...rich, a.setLimits([daily(100), override]))
      .when(a.hold('h1', 1n))
      .refuses('quota_exceeded', { limit: 0, resetAt: at(9), windowSeconds: 86_400 })
  })

  test('counts what was charged, and frees what was released', () => {
    const charged = [...limited, a.hold('h1', 70n), a.use('u1', 'h1', 40n), a.settle('h1')]
    given(...charged)
      .when(a.hold('h2', 61n))
      .refuses('quota_exceeded', { used: 40 })
    expect(quietHistoryOf(...charged, a.hold('h2', 60n))).toHaveLength(7)
  })

  test('does not forget when it changes, or comes after the usage', () => {
    const used = [...rich, a.hold('h1', 70n), a.use('u1', 'h1', 70n), a.settle('h1')]
    given(...used, a.setLimits([daily(90)]), a.setLimits([daily(75)]))
      .when(a.hold('h2', 6n))
      .refuses('quota_exceeded', { used: 70 })
  })

  test('begins again with the day', () => {
    const nextDay = '2027-01-01T00:00:00.000Z'
    const full = [...limited, a.hold('h1', 100n), a.use('u1', 'h1', 100n), a.settle('h1')]
    given(...full)
      .when(a.hold('h2', 1n))
      .refuses('quota_exceeded')
    expect(quietHistoryOf(...full, a.hold('h2', 100n, nextDay))).toHaveLength(7)
  })

  test('counts of a new day only what is charged in it', () => {
    const nextDay = '2026-01-02T00:00:00.000Z'
    const usage = { ...a.usage('u2', 'h2', 40n), calledAt: nextDay }
    const used = [
      ...[...limited, a.hold('h1', 90n), a.use('u1', 'h1', 90n), a.settle('h1')],
      a.hold('h2', 40n, nextDay),
      { type: 'RecordUsage', usage, at: nextDay } as const,
      a.settle('h2'),
    ]
    given(...used)
      .when(a.hold('h3', 61n, nextDay))
      .refuses('quota_exceeded', { used: 40 })
    expect(quietHistoryOf(...used, a.hold('h3', 60n, nextDay))).toHaveLength(10)
  })

  test('is not forgotten by a call of the day before that is told late', () => {
    const nextDay = '2026-01-02T00:00:00.000Z'
    const called = (usageId: string, calledAt: string) => {
      const usage = { ...a.usage(usageId, 'h1', 45n), calledAt }
      return { type: 'RecordUsage', usage, at: nextDay } as const
    }
    const told = [called('u1', nextDay), called('u2', at(9)), called('u3', nextDay), a.settle('h1')]
    given(...rich, a.hold('h1', 135n), ...told, a.setLimits([daily(100)]))
      .when(a.hold('h2', 11n, nextDay))
      .refuses('quota_exceeded', { used: 90 })
  })

  test('says amounts as strings when the limit is one', () => {
    given(...rich, a.setLimits([daily('100')]), a.hold('h1', 100n))
      .when(a.hold('h2', 1n))
      .refuses('quota_exceeded', { limit: '100', used: '100' })
  })

  test('lets pass what costs nothing', () => {
    expect(quietHistoryOf(...limited, a.hold('h1', 100n), a.hold('h2', 0n))).toHaveLength(5)
    const lowered = [...limited, a.hold('h1', 100n), a.setLimits([daily(40)])]
    expect(quietHistoryOf(...lowered, a.hold('h2', 0n))).toHaveLength(6)
  })

  test('of each user is counted apart', () => {
    const each = [...rich, a.setLimits([daily(50, { scope: 'user' })])]
    const of = (userId: string, holdId: string, amount: bigint) => ({
      ...{ ...a.hold(holdId, amount), userId },
    })
    given(...each, of('ada', 'h1', 50n))
      .when(of('ada', 'h2', 1n))
      .refuses('quota_exceeded', { scope: 'user', used: 50 })
    expect(quietHistoryOf(...each, of('ada', 'h1', 50n), of('bob', 'h2', 50n))).toHaveLength(5)
    expect(quietHistoryOf(...each, of('ada', 'h1', 50n), a.hold('h2', 90n))).toHaveLength(5)
  })

  test('of a provider refuses when it is used up, not before', () => {
    const provider = [...rich, a.setLimits([daily(50, { scope: 'provider', key: 'local' })])]
    const of = (holdId: string, amount: bigint) => ({
      ...a.hold(holdId, amount),
      planned: [{ provider: 'local', amount, units: {} }],
    })
    const used = [...provider, of('h1', 49n), of('h2', 10n)]
    given(...used)
      .when(of('h3', 1n))
      .refuses('quota_exceeded', { scope: 'provider', used: 59 })
    expect(quietHistoryOf(...used, a.hold('h3', 1n))).toHaveLength(6)
    given(...provider, of('h1', 50n))
      .when(of('h2', 1n))
      .refuses('quota_exceeded', { scope: 'provider', used: 50 })
  })

  test('of a provider counts what is planned and called there, and nothing elsewhere', () => {
    const local = { provider: 'local', amount: 30n, units: { megapixels: 20n } }
    const planned = [local, { ...local, provider: 'far' }]
    const history = [...rich, { ...a.hold('h1', 60n), planned }, a.use('u1', 'h1', 40n)]
    const { quota } = given(...history).state
    const used = (value: string, more: Parameters<typeof a.limit>[0]) => {
      const limit = a.limit({ scope: 'provider', window: 'day', ...more })
      return usedOf(quota, { limit, value }, { at: at(9), orgHeld: 0n })
    }
    // The call was dearer than planned: nothing of it is reserved any more, and not less.
    expect(used('local', { kind: 'spend' })).toBe(40n)
    expect(used('far', { kind: 'spend' })).toBe(30n)
    // Twelve were delivered of the twenty.
    expect(used('local', { kind: 'units', unit: 'megapixels' })).toBe(20n)
    expect(used('far', { kind: 'units', unit: 'megapixels' })).toBe(20n)
  })
})

describe('a quota of units', () => {
  test('counts planned and delivered units', () => {
    const units = a.limit({ kind: 'units', window: 'month', unit: 'megapixels', max: 20 })
    const of = (holdId: string, count: bigint) => ({
      ...a.hold(holdId, 1n),
      planned: [{ provider: 'local', amount: 1n, units: { megapixels: count } }],
    })
    const used = [...rich, a.setLimits([units]), of('h1', 15n), a.use('u1', 'h1', 1n)]
    given(...used)
      .when(of('h2', 6n))
      .refuses('quota_exceeded', { used: 15 })
    // Twelve of the fifteen were delivered; the rest is free again.
    given(...used, a.settle('h1'))
      .when(of('h2', 9n))
      .refuses('quota_exceeded', { used: 12 })
    expect(quietHistoryOf(...used, a.settle('h1'), of('h2', 8n))).toHaveLength(7)
  })
})

describe('of several limits', () => {
  const subject = { userId: 'ada', providers: ['local'], jobType: 'x' }
  const maxOf = (...limits: readonly ReturnType<typeof a.limit>[]) =>
    limitsFor(limits, subject, at(5)).map(({ limit }) => limit.max)

  test('one for the user comes before one for each', () => {
    const each = a.limit({ scope: 'user' })
    const [ada, bob] = ['ada', 'bob'].map((key, at) => ({ ...each, key, max: 9 - at }))
    expect(maxOf(each, ada!, bob!)).toEqual([9])
    expect(maxOf(bob!, ada!, each)).toEqual([9])
  })

  test('one for somebody else is none', () => {
    const scopes = ['user', 'provider', 'jobType'] as const
    const others = scopes.map((scope) => a.limit({ scope, key: 'another' }))
    expect(maxOf(...others)).toEqual([])
  })

  test('an override for each comes before a lasting one for the user', () => {
    const lasting = a.limit({ scope: 'user', key: 'ada' })
    expect(maxOf(lasting, a.limit({ scope: 'user', max: 9, until: at(6) }))).toEqual([9])
  })

  test('an override comes before a lasting one, until its end', () => {
    expect(maxOf(a.limit(), a.limit({ max: 9, until: at(6) }))).toEqual([9])
    expect(maxOf(a.limit(), a.limit({ max: 9, until: at(5) }))).toEqual([5])
  })

  test('those that count differently all hold', () => {
    expect(maxOf(a.limit(), a.limit({ window: 'day', max: 50 }))).toEqual([5, 50])
    const units = { kind: 'units', window: 'day' } as const
    const [images, tokens] = ['images', 'input_tokens'].map((unit) => a.limit({ ...units, unit }))
    expect(maxOf({ ...images!, max: 1 }, { ...tokens!, max: 2 })).toEqual([1, 2])
  })
})

test('what open holds reserve of quotas is gone when they are settled', () => {
  const settleAll = ['h0', 'h1', 'h2', 'h3', 'h4', 'h5'].map(a.settle)
  const property = fc.property(opening, fc.array(accountCommand), (first, rest) => {
    let state = accountDecider.initial
    for (const command of [first, ...rest, ...settleAll]) {
      const answer = refusalOf(accountDecider, state, command)
      if (answer instanceof DomainError) continue
      state = answer.reduce(accountDecider.evolve, state)
      expect([...state.quota.held.values()].every((sum) => sum > 0n)).toBe(true)
    }
    expect(state.quota.held.size).toBe(0)
  })
  fc.assert(property)
})

test('a snapshot keeps standing and quotas', () => {
  const planned = [{ provider: 'local', amount: 10n, units: { megapixels: 12n } }]
  const calledAt = '2026-01-02T00:00:00.000Z'
  const { state } = given(
    ...rich,
    a.setLimits([daily(100, { scope: 'user' })]),
    a.throttle(3),
    { ...a.hold('h1', 10n), userId: 'ada', planned },
    a.use('u1', 'h1', 4n),
    { type: 'RecordUsage', usage: { ...a.usage('u2', 'h1', 3n), calledAt }, at: calledAt },
  )
  const json = JSON.parse(JSON.stringify(encodeAccount(state))) as Json
  const decoded = decodeAccount(json)
  expect(decoded?.standing).toEqual(state.standing)
  expect(decoded?.quota.held.equals(state.quota.held)).toBe(true)
  expect(decoded?.quota.day.sums.equals(state.quota.day.sums)).toBe(true)
  expect(decoded?.quota.month.sums.equals(state.quota.month.sums)).toBe(true)
  expect([decoded?.quota.day.start, decoded?.quota.month.start]).toEqual([
    ...[state.quota.day.start, state.quota.month.start],
  ])
  expect(decoded?.holds.get('h1')?.planned).toEqual(state.holds.get('h1')?.planned)
})
