import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describe } from './outcome.ts'
import { Simulator } from './simulator.ts'

const seedsInOneTest = 20
const limitMs = 300_000

/** `SEED=7` runs that one, `SEEDS=10000` so many; else as many as CI takes. */
function seeds(): readonly number[] {
  const { SEED, SEEDS } = process.env
  if (SEED !== undefined) return [Number(SEED)]
  return Array.from({ length: Number(SEEDS ?? 200) }, (_, at) => at + 1)
}

let simulator: Simulator
beforeAll(async () => {
  simulator = await Simulator.start()
})
afterAll(() => simulator.stop())

const simulate = (seed: number) => simulator.simulate(seed)
const all = seeds()
const groups = Array.from({ length: Math.ceil(all.length / seedsInOneTest) }, (_, at) =>
  all.slice(at * seedsInOneTest, (at + 1) * seedsInOneTest),
).map((group) => ({ from: group[0], to: group.at(-1), group }))

/** A world in which nothing succeeds breaks no rule either: these must have happened, often. */
function expectRealWork(written: ReadonlyMap<string, number>): void {
  const few = ['JobSucceeded', 'UsageRecorded', 'HoldSettled', 'JobStepCompleted']
  const rare = ['JobRetryScheduled', 'JobCanceled', 'JobFailed']
  expect([...few, ...rare].filter((type) => (written.get(type) ?? 0) < 1)).toEqual([])
  expect(few.filter((type) => (written.get(type) ?? 0) < seedsInOneTest)).toEqual([])
}

test.each(groups)(
  'nothing is lost, doubled or left over: seeds $from to $to',
  async ({ group }) => {
    const written = new Map<string, number>()
    for (const seed of group) {
      const outcome = await simulate(seed)
      if (outcome.violations.length > 0) throw new Error(describe(outcome))
      for (const [type, n] of outcome.written) written.set(type, (written.get(type) ?? 0) + n)
    }
    if (group.length === seedsInOneTest) expectRealWork(written)
  },
  limitMs,
)

test.each([1, 2, 3])('seed %i makes the same steps every time', async (seed) => {
  const [first, second] = [await simulate(seed), await simulate(seed)]
  expect(second.traceHash).toBe(first.traceHash)
  expect(second.steps).toBe(first.steps)
})

test('another seed makes other steps', async () => {
  const [first, second] = [await simulate(1), await simulate(2)]
  expect(second.traceHash).not.toBe(first.traceHash)
})
