import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import type { Loop } from '../../../workers/loop.ts'
import { housekeeping } from '../../../workers/housekeeping.ts'
import { waitFor } from '../../support/wait-for.ts'

const hourMs = 3_600_000
let clock: SimulatedClock
let asked: string[]
let sweeps: number
let loop: Loop

/** Rows of one kind, so many, all of them old. */
function old(kind: string, count: number) {
  let left = count
  return {
    forget: async (before: number, countMax: number) => {
      const forgotten = Math.min(left, countMax)
      left -= forgotten
      asked.push(`${kind} of ${(clock.now() - before) / hourMs} h: ${forgotten}`)
      return forgotten
    },
  }
}

beforeEach(() => {
  clock = new SimulatedClock()
  asked = []
  sweeps = 0
})

afterEach(async () => loop.stop(AbortSignal.abort()))

function start(deliveriesKeptMs: number | null): void {
  loop = housekeeping({
    ...{ clock, deliveriesKeptMs, report: () => undefined },
    ...{ idempotency: old('keys', 2_500), deliveries: old('deliveries', 1_000) },
    limits: old('counters', 9),
    sweepObjects: async () => void (sweeps += 1),
  })
  loop.start()
}

test('what is old is forgotten in batches, again every hour', async () => {
  start(720 * hourMs)
  await waitFor('the first round', () => sweeps === 1)
  expect(asked).toEqual([
    ...['keys of 24 h: 1000', 'keys of 24 h: 1000', 'keys of 24 h: 500'],
    'counters of 24 h: 9',
    ...['deliveries of 720 h: 1000', 'deliveries of 720 h: 0'],
  ])
  await clock.advance(hourMs)
  await waitFor('the next round', () => sweeps === 2)
  const again = ['keys of 24 h: 0', 'counters of 24 h: 0', 'deliveries of 720 h: 0']
  expect(asked.slice(6)).toEqual(again)
})

test('deliveries may be kept for ever', async () => {
  start(null)
  await waitFor('the first round', () => sweeps === 1)
  expect(asked.filter((each) => each.startsWith('deliveries'))).toEqual([])
})
