import { expect, test } from '@jest/globals'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { Gathering } from '../../../workers/gathering.ts'

const { signal } = new AbortController()

/** How long the next page has to wait, ms. */
async function restMs(clock: SimulatedClock, gathering: Gathering): Promise<number> {
  const rest = gathering.rest(signal)
  const dueMs = clock.nextWakeMs() ?? clock.now()
  const waitsMs = dueMs - clock.now()
  await clock.advance(waitsMs)
  await rest
  return waitsMs
}

test('in a quiet time nothing waits, however close two pages are', async () => {
  const clock = new SimulatedClock()
  const gathering = new Gathering(clock)
  gathering.count(3)
  await clock.advance(2)
  gathering.count(3)
  expect(await restMs(clock, gathering)).toBe(0)
})

test('in a busy time the next page waits until 15 ms after the last one', async () => {
  const clock = new SimulatedClock()
  const gathering = new Gathering(clock)
  for (let page = 0; page < 6; page += 1) {
    gathering.count(2)
    await clock.advance(5)
  }
  expect(await restMs(clock, gathering)).toBe(10)
  await clock.advance(200)
  expect(await restMs(clock, gathering)).toBe(0)
})

test('whoever stops does not wait', async () => {
  const clock = new SimulatedClock()
  const gathering = new Gathering(clock)
  gathering.count(100)
  await gathering.rest(AbortSignal.abort())
  expect(clock.now()).toBe(new SimulatedClock().now())
})
