import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { mutations } from './mutations.ts'
import { Simulator } from './simulator.ts'

/** A planted bug that so many seeds do not meet has escaped. */
const seedsMax = 200

let simulator: Simulator
beforeAll(async () => {
  simulator = await Simulator.start()
})
afterAll(() => simulator.stop())

async function firstSeedThatFinds(name: string): Promise<number | null> {
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    const { violations } = await simulator.simulate(seed, name)
    if (violations.length > 0) return seed
  }
  return null
}

const timeoutMs = 180_000

test.each(Object.keys(mutations))(
  'it is found that %s',
  async (name) => {
    expect(await firstSeedThatFinds(name)).not.toBeNull()
  },
  timeoutMs,
)
