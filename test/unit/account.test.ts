import { describe, expect, test } from '@jest/globals'
import { accountDecider, availableAt } from '../../domain/account/account.ts'
import type { Account } from '../../domain/account/account.ts'
import { apiKeysMax } from '../../domain/account/api-keys.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import { compareBurnOrder } from '../../domain/account/burn.ts'
import type { Grant } from '../../domain/account/burn.ts'
import { closedUsageMax } from '../../domain/account/closed-holds.ts'
import { amountMicroMax } from '../../domain/pricing/money.ts'
import * as a from '../support/account-history.ts'
import { given as givenEvents } from '../support/given.ts'
import { at } from '../support/job-history.ts'

/** The account, but for its alerts: they have tests of their own. */
const quiet: typeof accountDecider = {
  ...accountDecider,
  decide: (state, command) =>
    accountDecider.decide(state, command).filter((event) => !a.isAlert(event)),
}

/** Given what these commands left. */
function given(...commands: readonly AccountCommand[]) {
  return givenEvents(quiet, a.historyOf(...commands))
}

const open = a.openAccount()
const rich = [open, a.grant('g1', 1000n)] as const

describe('opening an account', () => {
  const data = { orgId: 'acme', name: 'Acme', overdraftMicro: '50', openedAt: at(0) }
  test('tells its overdraft', () => {
    given()
      .when(a.openAccount(50n))
      .then([{ type: 'AccountOpened', data }])
  })
  test('does nothing the second time', () => {
    given(open).when(a.openAccount(50n)).doesNothing()
  })
  const others = [a.issueKey('k1'), a.grant('g1', 1n), a.hold('h1', 0n), a.settle('h1')]
  test.each(others.map((command) => [command.type, command] as const))(
    'comes before %s',
    (_, command) => {
      given().when(command).refuses('not_found')
    },
  )
})

describe('an API key', () => {
  test('is issued', () => {
    given(open)
      .when(a.issueKey('k1'))
      .then([{ type: 'ApiKeyIssued', data: a.apiKey('k1') }])
  })
  test('is revoked', () => {
    given(open, a.issueKey('k1'))
      .when(a.revokeKey('k1'))
      .then([{ type: 'ApiKeyRevoked', data: { keyId: 'k1', revokedAt: at(9) } }])
  })
  test('is issued once and revoked once', () => {
    given(open, a.issueKey('k1')).when(a.issueKey('k1')).doesNothing()
    given(open, a.issueKey('k1'), a.revokeKey('k1')).when(a.revokeKey('k1')).doesNothing()
  })
  test('that was revoked does not come back', () => {
    given(open, a.issueKey('k1'), a.revokeKey('k1')).when(a.issueKey('k1')).doesNothing()
  })
  test('that never was cannot be revoked', () => {
    given(open).when(a.revokeKey('k1')).refuses('not_found')
  })
  test('is refused beyond the limit, and accepted again when one was revoked', () => {
    const full = Array.from({ length: apiKeysMax }, (_, index) => a.issueKey(`k${index}`))
    given(open, ...full)
      .when(a.issueKey('more'))
      .refuses('conflict')
    given(open, ...full, a.revokeKey('k0'))
      .when(a.issueKey('more'))
      .then([{ type: 'ApiKeyIssued', data: a.apiKey('more') }])
  })
})

describe('a grant', () => {
  const terms = { kind: 'purchase', priority: 100, expiresAt: null, reason: 'bought' } as const
  const granted = (amountMicro: string, coversDebtMicro: string): AccountEvent => ({
    type: 'CreditsGranted',
    data: {
      ...{ grantId: 'g1', amountMicro, coversDebtMicro, effectiveAt: at(1), ...terms },
      postedBeforeMicro: (-BigInt(coversDebtMicro)).toString(),
      postedAfterMicro: (BigInt(amountMicro) - BigInt(coversDebtMicro)).toString(),
    },
  })
  test('gives credits', () => {
    given(open)
      .when(a.grant('g1', 100n))
      .then([granted('100', '0')])
  })
  test('pays an earlier debt first', () => {
    const debt = [open, a.hold('h1', 0n), a.use('u1', 'h1', 30n)]
    given(...debt)
      .when(a.grant('g1', 100n))
      .then([granted('100', '30')])
    expect(after(...debt, a.grant('g1', 100n))).toMatchObject({ posted: 70n, debt: 0n })
    expect(after(...debt, a.grant('g1', 20n))).toMatchObject({
      posted: -10n,
      debt: 10n,
      grants: [],
    })
  })
  test('is given once', () => {
    given(...rich)
      .when(a.grant('g1', 5n))
      .doesNothing()
  })
  test('is given once even when it is used up', () => {
    given(...rich, a.adjust('a1', -1000n))
      .when(a.grant('g1', 1000n))
      .doesNothing()
  })
  test.each([0n, -1n, amountMicroMax + 1n])('of %s is a bug of the caller', (amount) => {
    expect(() => accountDecider.decide(after(open), a.grant('g1', amount))).toThrow('bounded')
  })
})

describe('an adjustment', () => {
  test('gives credits as a grant of its own', () => {
    given(open)
      .when(a.adjust('a1', 40n))
      .then([
        {
          type: 'CreditsGranted',
          data: {
            grantId: 'a1',
            kind: 'adjustment',
            amountMicro: '40',
            coversDebtMicro: '0',
            priority: 100,
            effectiveAt: at(1),
            expiresAt: null,
            reason: 'goodwill',
            ...{ postedBeforeMicro: '0', postedAfterMicro: '40' },
          },
        },
      ])
  })
  test('takes credits, naming the grants', () => {
    given(open, a.grant('g1', 30n), a.grant('g2', 30n))
      .when(a.adjust('a1', -40n))
      .then([
        {
          type: 'CreditsRevoked',
          data: {
            revocationId: 'a1',
            kind: 'adjustment',
            amountMicro: '40',
            allocations: [
              { grantId: 'g1', amountMicro: '30' },
              { grantId: 'g2', amountMicro: '10' },
            ],
            uncoveredMicro: '0',
            reason: 'goodwill',
            ...{ postedBeforeMicro: '60', postedAfterMicro: '20' },
          },
        },
      ])
  })
  test('is made once, in either direction', () => {
    given(open, a.adjust('a1', 40n)).when(a.adjust('a1', 40n)).doesNothing()
    given(...rich, a.adjust('a1', -40n))
      .when(a.adjust('a1', -40n))
      .doesNothing()
  })
  test('takes nothing that is held', () => {
    const extra = { required: '101', available: '100', held: '900' }
    given(...rich, a.hold('h1', 900n))
      .when(a.adjust('a1', -101n))
      .refuses('insufficient_credits', extra)
  })
  test('may take as far as the overdraft reaches, and then leaves a debt', () => {
    const account = after(a.openAccount(50n), a.grant('g1', 10n), a.adjust('a1', -60n))
    expect(account).toMatchObject({ posted: -50n, debt: 50n, grants: [] })
  })
})

describe('a hold', () => {
  test('reserves what is available', () => {
    given(...rich)
      .when(a.hold('h1', 1000n))
      .then([
        {
          type: 'CreditsHeld',
          data: {
            holdId: 'h1',
            jobId: 'h1',
            amountMicro: '1000',
            heldAt: at(2),
            expiresAt: at(9e4),
          },
        },
      ])
  })
  test('is refused with the arithmetic when the account cannot pay', () => {
    given(...rich, a.hold('h1', 900n))
      .when(a.hold('h2', 101n))
      .refuses('insufficient_credits', { required: '101', available: '100', held: '900' })
  })
  test('may use the overdraft, to the last micro-credit', () => {
    given(a.openAccount(50n)).when(a.hold('h1', 51n)).refuses('insufficient_credits')
    expect(after(a.openAccount(50n), a.hold('h1', 50n))).toMatchObject({ held: 50n, posted: 0n })
  })
  test('is refused like any other when it is larger than anything that can be granted', () => {
    const required = 10n ** 24n
    given(...rich)
      .when(a.hold('h1', required))
      .refuses('insufficient_credits', { required: required.toString(), available: '1000' })
  })
  test('of nothing is made on an empty account, and on one in debt', () => {
    expect(after(open, a.hold('h1', 0n)).holds.has('h1')).toBe(true)
    const debt = [open, a.grant('g1', 5n), a.hold('h1', 5n), a.use('u1', 'h1', 9n)]
    expect(after(...debt, a.hold('h2', 0n))).toMatchObject({ posted: -4n, debt: 4n })
    expect(after(...debt, a.hold('h2', 0n)).holds.has('h2')).toBe(true)
  })
  test('cannot use credits that expired, whether or not the expiry was booked', () => {
    given(open, a.grant('g1', 100n, { expiresAt: at(10) }))
      .when(a.hold('h1', 1n, at(10)))
      .refuses('insufficient_credits', { available: '0' })
  })
  test('is made once, while it is open and after it was settled', () => {
    given(...rich, a.hold('h1', 10n))
      .when(a.hold('h1', 10n))
      .doesNothing()
    given(...rich, a.hold('h1', 10n), a.settle('h1'))
      .when(a.hold('h1', 10n))
      .doesNothing()
  })
})

describe('usage', () => {
  const held = [...rich, a.hold('h1', 100n)] as const
  const recorded = (charged: bigint, more: object): AccountEvent => {
    const base = { allocations: [{ grantId: 'g1', amountMicro: charged.toString() }] }
    const parts = { uncoveredMicro: '0', fromHoldMicro: charged.toString(), overrunMicro: '0' }
    const data = { ...a.usage('u1', 'h1', charged), ...base, ...parts, ...more }
    return { type: 'UsageRecorded', data }
  }
  test('is charged to the hold and to the grants', () => {
    given(...held)
      .when(a.use('u1', 'h1', 30n))
      .then([recorded(30n, {})])
    expect(after(...held, a.use('u1', 'h1', 30n))).toMatchObject({ posted: 970n, held: 70n })
  })
  test('beyond its hold is an overrun', () => {
    given(...held)
      .when(a.use('u1', 'h1', 130n))
      .then([recorded(130n, { fromHoldMicro: '100', overrunMicro: '30' })])
    expect(after(...held, a.use('u1', 'h1', 130n))).toMatchObject({ posted: 870n, held: 0n })
  })
  test('after the settlement is still recorded, as an overrun', () => {
    given(...held, a.settle('h1'))
      .when(a.use('u1', 'h1', 30n))
      .then([recorded(30n, { fromHoldMicro: '0', overrunMicro: '30' })])
  })
  test('beyond every grant leaves a debt', () => {
    given(...held)
      .when(a.use('u1', 'h1', 1200n))
      .then([
        recorded(1200n, {
          allocations: [{ grantId: 'g1', amountMicro: '1000' }],
          uncoveredMicro: '200',
          fromHoldMicro: '100',
          overrunMicro: '1100',
        }),
      ])
  })
  test('of nothing is recorded without an allocation', () => {
    given(...held)
      .when(a.use('u1', 'h1', 0n))
      .then([recorded(0n, { allocations: [] })])
  })
  test('is not counted again on the hold of a job that was queued again', () => {
    const again = { ...a.hold('h1/1', 100n), jobId: 'h1' }
    const usage = { ...a.usage('u1', 'h1/1', 30n), jobId: 'h1' }
    given(...rich, a.hold('h1', 100n), a.use('u1', 'h1', 30n), a.settle('h1'), again)
      .when({ type: 'RecordUsage', usage, at: at(4) })
      .doesNothing()
  })
  test('is counted once, before and after the settlement', () => {
    const used = [...held, a.use('u1', 'h1', 30n)]
    given(...used)
      .when(a.use('u1', 'h1', 30n))
      .doesNothing()
    given(...used, a.settle('h1'))
      .when(a.use('u1', 'h1', 30n))
      .doesNothing()
    given(...held, a.settle('h1'), a.use('u1', 'h1', 30n))
      .when(a.use('u1', 'h1', 30n))
      .doesNothing()
  })
  test('without a hold is refused', () => {
    given(...rich)
      .when(a.use('u1', 'h1', 1n))
      .refuses('conflict')
  })
  test('on a hold that is forgotten is refused, for it may have been counted', () => {
    const account = after(...rich, a.hold('h0', 0n), a.settle('h0'), a.hold('h1', 0n))
    const ids = Array.from({ length: closedUsageMax }, (_, index) => a.use(`u${index}`, 'h1', 0n))
    const full = [...ids, a.settle('h1')].reduce(run, account)
    expect(() => run(full, a.use('u1', 'h0', 1n))).toThrow('forgotten')
    expect(run(full, a.use('u1', 'h1', 1n))).toBe(full)
  })
})

describe('a settlement', () => {
  const settled = (chargedMicro: string, releasedMicro: string): AccountEvent => ({
    type: 'HoldSettled',
    data: { holdId: 'h1', jobId: 'h1', chargedMicro, releasedMicro, outcome: 'succeeded' },
  })
  const held = [...rich, a.hold('h1', 100n)] as const
  test('releases the whole hold of a job that called nobody', () => {
    given(...held)
      .when(a.settle('h1'))
      .then([settled('0', '100')])
    expect(after(...held, a.settle('h1'))).toMatchObject({ posted: 1000n, held: 0n })
  })
  test('releases what is left', () => {
    given(...held, a.use('u1', 'h1', 30n))
      .when(a.settle('h1'))
      .then([settled('30', '70')])
  })
  test('releases nothing after an overrun', () => {
    given(...held, a.use('u1', 'h1', 130n))
      .when(a.settle('h1'))
      .then([settled('130', '0')])
  })
  test('is made once', () => {
    given(...held, a.settle('h1'))
      .when(a.settle('h1'))
      .doesNothing()
  })
  test('of a hold that never was is nothing', () => {
    given(...rich)
      .when(a.settle('h1'))
      .doesNothing()
  })
})

describe('expiry', () => {
  const terms = { expiresAt: at(10) }
  const expired = (grantId: string, amountMicro: string): AccountEvent => ({
    type: 'CreditsExpired',
    data: { grantId, amountMicro },
  })
  const granted = [open, a.grant('g1', 100n, terms), a.grant('g2', 7n)] as const
  test('ends what is left of a grant at its date', () => {
    given(...granted, a.adjust('a1', -30n))
      .when(a.expire(at(10)))
      .then([expired('g1', '70')])
  })
  test('is nothing before that date', () => {
    given(...granted)
      .when(a.expire(at(9)))
      .doesNothing()
  })
  test('happens once', () => {
    given(...granted, a.expire(at(10)))
      .when(a.expire(at(10)))
      .doesNothing()
  })
  test('of very many grants takes more than one run', () => {
    const many = Array.from({ length: 501 }, (_, index) => a.grant(`e${index}`, 1n, terms))
    const account = after(open, ...many, a.expire(at(10)))
    expect(account).toMatchObject({ posted: 1n, grants: [{ grantId: 'e500' }] })
    expect(run(account, a.expire(at(10)))).toMatchObject({ posted: 0n, grants: [] })
  })
  test('leaves what an open hold reserves, until that is settled', () => {
    const held = [...granted, a.hold('h1', 90n)]
    given(...held)
      .when(a.expire(at(10)))
      .then([expired('g1', '17')])
    given(...held, a.expire(at(10)))
      .when(a.expire(at(11)))
      .doesNothing()
    given(...held, a.expire(at(10)), a.use('u1', 'h1', 20n, at(11)), a.settle('h1'))
      .when(a.expire(at(12)))
      .then([expired('g1', '70')])
  })
  test('of several grants leaves as much as an open hold reserves, and no less', () => {
    given(...granted, a.grant('g3', 50n, terms), a.hold('h1', 90n))
      .when(a.expire(at(10)))
      .then([expired('g1', '67')])
    given(...granted, a.grant('g3', 50n, terms), a.hold('h1', 20n))
      .when(a.expire(at(10)))
      .then([expired('g1', '100'), expired('g3', '37')])
  })
  test('leaves what a hold reserves to it, whatever the overdraft', () => {
    const held = [a.openAccount(50n), a.grant('g1', 100n, terms), a.hold('h1', 60n)]
    given(...held)
      .when(a.expire(at(10)))
      .then([expired('g1', '40')])
    const used = after(...held, a.expire(at(10)), a.use('u1', 'h1', 60n, at(11)), a.settle('h1'))
    expect(used).toMatchObject({ posted: 0n, debt: 0n, grants: [] })
  })
  test('of credits that a hold reserves leaves nothing, and not less, to others', () => {
    const held = [open, a.grant('g1', 100n, terms), a.hold('h1', 60n)]
    given(...held)
      .when(a.hold('h2', 1n, at(10)))
      .refuses('insufficient_credits', { required: '1', available: '0', held: '60' })
    given(...held, a.grant('g2', 65n), a.expire(at(10)))
      .when(a.hold('h2', 6n, at(11)))
      .refuses('insufficient_credits', { available: '5', held: '60' })
  })
  test('is booked with the next hold, which cannot keep credits alive by its overdraft', () => {
    const broke = [a.openAccount(50n), a.grant('g1', 100n, terms)]
    expect(after(...broke, a.hold('h1', 50n, at(10)))).toMatchObject({ posted: 0n, held: 50n })
    given(...broke, a.hold('h1', 50n, at(10)))
      .when(a.hold('h2', 1n, at(10)))
      .refuses('insufficient_credits', { available: '0' })
  })
  test('counts as gone at once in what is available', () => {
    const account = after(...granted)
    expect([availableAt(account, at(9)), availableAt(account, at(10))]).toEqual([107n, 7n])
  })
})

describe('the burn order', () => {
  const base: Grant = {
    grantId: 'base',
    kind: 'purchase',
    ...{ amount: 1n, remaining: 1n },
    priority: 100,
    effectiveAt: at(1),
    expiresAt: null,
    sequence: 0,
  }
  const earlier: readonly (readonly [string, Partial<Grant>, Partial<Grant>])[] = [
    ['the lower priority', { priority: 1, sequence: 1 }, { expiresAt: at(9) }],
    ['the earlier expiry', { expiresAt: at(8), sequence: 1 }, { expiresAt: at(9), kind: 'promo' }],
    ['what expires at all', { expiresAt: at(9e6), sequence: 1 }, { kind: 'promo' }],
    ['promotions before paid credits', { kind: 'promo', effectiveAt: at(5), sequence: 1 }, {}],
    ['the earlier effective date', { effectiveAt: at(0), sequence: 1 }, {}],
    ['the earlier creation', { sequence: 1 }, { sequence: 2 }],
  ]
  test.each(earlier)('prefers %s', (_, first, second) => {
    expect(compareBurnOrder({ ...base, ...first }, { ...base, ...second })).toBeLessThan(0)
    expect(compareBurnOrder({ ...base, ...second }, { ...base, ...first })).toBeGreaterThan(0)
  })
  test('takes live credits before expired ones that a hold still reserves', () => {
    const account = after(
      open,
      a.grant('g1', 100n, { expiresAt: at(10) }),
      a.hold('h1', 100n),
      a.grant('g2', 40n),
      a.use('u1', 'h1', 60n, at(11)),
    )
    expect(account.grants).toMatchObject([{ grantId: 'g1', remaining: 80n }])
  })
})

function run(account: Account, command: AccountCommand): Account {
  return accountDecider.decide(account, command).reduce(accountDecider.evolve, account)
}

function after(...commands: readonly AccountCommand[]): Account {
  return given(...commands).state
}
