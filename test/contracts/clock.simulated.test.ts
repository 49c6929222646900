import { expect, test } from '@jest/globals'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { clockContract } from './clock.contract.ts'

clockContract(() => {
  const clock = new SimulatedClock()
  return { clock, pass: (ms) => clock.advance(ms) }
})

test('stands still until it is moved', async () => {
  const clock = new SimulatedClock(1_000)
  expect(clock.now()).toBe(1_000)
  expect(clock.nextWakeMs()).toBeNull()
  await clock.advance(500)
  expect(clock.now()).toBe(1_500)
})

test('sleepers see their own time, also those that sleep again meanwhile', async () => {
  const clock = new SimulatedClock(0)
  const seen: number[] = []
  const ticking = (async () => {
    for (let tick = 0; tick < 4; tick += 1) {
      await clock.sleep(100)
      seen.push(clock.now())
    }
  })()
  expect(clock.nextWakeMs()).toBe(100)
  await clock.advance(450)
  await ticking
  expect(seen).toEqual([100, 200, 300, 400])
  expect(clock.now()).toBe(450)
})
