import { expect, test } from '@jest/globals'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import type { Profile } from '../../../src/profiles/profile.ts'
import { checkEngines } from '../../../src/roles/check-engines.ts'

/** A profile of which only what is asked is there. */
function given(asked: Partial<Profile>) {
  const clock = new SimulatedClock()
  const store = new MemoryEventStore(new MemoryEventLog())
  const sql = () => Promise.resolve([])
  const isLogWhole = () => Promise.resolve(true)
  return { clock, profile: { clock, store, sql, isLogWhole, ...asked } as unknown as Profile }
}

const never = (): Promise<never> => new Promise(() => undefined)

test('engines that answer are ready, and nobody goes on looking at the clock', async () => {
  const { clock, profile } = given({})
  await checkEngines(profile)
  expect(clock.nextWakeMs()).toBeNull()
})

const frozenStore = new MemoryEventStore(new MemoryEventLog())
frozenStore.read = never

test.each([
  { engine: 'database', asked: { sql: never } },
  { engine: 'event store', asked: { store: frozenStore } },
])('a frozen $engine is told of within seconds', async ({ engine, asked }) => {
  const { clock, profile } = given(asked)
  const refused = expect(checkEngines(profile)).rejects.toMatchObject({
    code: 'unavailable',
    message: `The ${engine} does not answer.`,
  })
  await clock.advance(3_000)
  await refused
})

test('an api is not ready while the log ends before what was carried of it', async () => {
  const { profile } = given({ isLogWhole: () => Promise.resolve(false) })
  await expect(checkEngines(profile)).rejects.toMatchObject({ code: 'unavailable' })
})
