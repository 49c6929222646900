import { expect, test } from '@jest/globals'
import type { Limit } from '../../domain/account/limits.ts'
import { consume, countersMax, noQuota, usedOf } from '../../domain/account/quota.ts'
import type { Quota } from '../../domain/account/quota.ts'
import * as a from '../support/account-history.ts'
import { at } from '../support/job-history.ts'

const noParts = { allocations: [], uncoveredMicro: '0', fromHoldMicro: '0', overrunMicro: '0' }
const limit = a.limit({ scope: 'user', kind: 'spend', window: 'month', max: 100 })

function charge(quota: Quota, userId: string, amount: bigint, limits: Limit[] = []): Quota {
  return consume(quota, { ...a.usage('u', 'h', amount), ...noParts, userId }, limits)
}

const usedBy = (quota: Quota, value: string): bigint =>
  usedOf(quota, { limit, value }, { at: at(9), orgHeld: 0n })

test('users who are counted are counted on when there are too many others', () => {
  let quota = charge(noQuota, 'ada', 1n)
  for (let other = 0; quota.month.sums.size < countersMax; other += 1) {
    quota = charge(quota, `other-${other}`, 1n)
  }
  const { size } = quota.month.sums
  quota = charge(charge(quota, 'ada', 5n), 'late', 5n)
  expect([usedBy(quota, 'ada'), usedBy(quota, 'late')]).toEqual([6n, 0n])
  expect(quota.month.sums.size).toBe(size)
  // While a limit is about users nobody may slip through.
  expect(usedBy(charge(quota, 'late', 5n, [limit]), 'late')).toBe(5n)
})
