import { expect, test } from '@jest/globals'
import type { Clock } from '../../domain/ports/clock.ts'

export type ClockHarness = {
  readonly clock: Clock
  /** Lets `ms` go by. */
  readonly pass: (ms: number) => Promise<void>
}

/** What every clock promises. */
export function clockContract(given: () => ClockHarness): void {
  test('a sleeper wakes when its time is over, not before', async () => {
    const { clock, pass } = given()
    const from = clock.now()
    const woke = clock.sleep(20).then(() => clock.now())
    await pass(50)
    expect((await woke) - from).toBeGreaterThanOrEqual(19)
  })

  test('sleepers wake in the order of their times', async () => {
    const { clock, pass } = given()
    const order: number[] = []
    const sleep = async (ms: number): Promise<void> => {
      await clock.sleep(ms)
      order.push(ms)
    }
    const all = Promise.all([sleep(60), sleep(0), sleep(30)])
    await pass(100)
    await all
    expect(order).toEqual([0, 30, 60])
  })

  test('a sleeper wakes at once when the signal aborts or has aborted', async () => {
    const { clock } = given()
    const abort = new AbortController()
    const sleeping = clock.sleep(600_000, abort.signal)
    abort.abort()
    await sleeping
    await clock.sleep(600_000, AbortSignal.abort())
  })

  test('a sleep of many months does not end at once', async () => {
    const { clock, pass } = given()
    const abort = new AbortController()
    let isAwake = false
    const sleeping = clock.sleep(2 ** 31 + 1_000, abort.signal).then(() => {
      isAwake = true
    })
    await pass(20)
    expect(isAwake).toBe(false)
    abort.abort()
    await sleeping
  })
}
