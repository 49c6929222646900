import { expect, test } from '@jest/globals'
import { SystemClock } from '../../infra/system/clock.ts'
import { clockContract } from './clock.contract.ts'

const clock = new SystemClock()

clockContract(() => ({ clock, pass: (ms) => clock.sleep(ms) }))

test('tells the time of the machine', () => {
  expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000)
})
