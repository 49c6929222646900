import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { beginAt, isLogWhole, relayLag } from '../../../workers/relay.ts'
import { Random } from '../../simulation/random.ts'
import { Life, type Call } from '../../support/mortal.ts'
import { RelayWorld } from '../../support/relay-world.ts'

/** What a takeover publishes twice at most: one page. */
const pageEventsMax = 1_000

let world: RelayWorld

beforeEach(() => {
  world = new RelayWorld()
})

afterEach(async () => {
  await world.stop()
})

/** Nothing is lost, nothing is out of order, and a reader sees each event once. */
function expectWhole(seed = 0): void {
  const { positions } = world
  const read = world.readBy()
  const firstWrong = positions.findIndex((position, at) => read[at] !== position)
  const whole = { seed, count: positions.length, firstWrong: -1 }
  expect({ seed, count: read.length, firstWrong }).toEqual(whole)
}

/** Calls that take time, and can fail. */
const slowCalls = new Set([
  ...['readPage', 'open', 'holds', 'resume', 'publish', 'acquire', 'move', 'release'],
])

describe('a relay', () => {
  test('publishes what is in the log, and what comes later, once', async () => {
    world.append(2_500)
    world.startRelay()
    await world.pass(1)
    world.append(3)
    await world.pass(1)
    expect(world.topic.records.map(({ position }) => position)).toEqual(world.positions)
  })

  test('goes on where the last one stopped, at once when that one was stopped', async () => {
    world.append(1_200)
    world.startRelay()
    await world.pass(1)
    await world.stop()
    world.append(10)
    world.startRelay()
    await world.pass(1)
    expect(world.topic.records.map(({ position }) => position)).toEqual(world.positions)
  })

  test('keeps its lease while there is nothing to do', async () => {
    world.startRelay()
    await world.pass(1)
    world.startRelay()
    await world.pass(120)
    world.append(5)
    await world.pass(1)
    expect(world.told).toEqual(['relay took over'])
    expectWhole()
  })

  test('tells how many events are not published yet, and for how long', async () => {
    const { checkpoint, clock } = world
    const lag = () => relayLag({ feed: world.newFeed(), checkpoint, clock }, 2_000)
    world.append(2_500)
    await world.pass(9)
    expect(await lag()).toEqual({ events: 2_000, oldestMs: 9_000 })
    world.startRelay()
    await world.pass(1)
    expect(await lag()).toEqual({ events: 0, oldestMs: 0 })
    await world.stop()
    world.append(7)
    expect(await lag()).toMatchObject({ events: 7 })
  })

  test('says how far it is while it publishes the log once more', async () => {
    const life = new Life()
    life.before = ({ method }) => (method === 'publish' ? world.clock.sleep(1_000) : null)
    world.append(25_500)
    world.startRelay(life)
    await world.pass(60)
    world.append(5)
    await world.pass(5)
    const twice = Array.from({ length: 2 }, () => 'relay publishes what is behind')
    expect(world.told).toEqual(['relay took over', ...twice])
    expectWhole()
  })

  test('starts from the checkpoint after any error', async () => {
    const life = new Life()
    const random = new Random(1)
    life.before = ({ method }) =>
      slowCalls.has(method) && random.chance(0.2)
        ? Promise.reject(new Error(`${method} failed`))
        : null
    world.append(5_000)
    world.startRelay(life)
    await world.pass(600)
    expectWhole()
    expect(world.told).toContain('loop turn failed')
  })
})

describe('a topic that was replaced', () => {
  test('gets what comes next, and nothing of what was there, while the relay runs', async () => {
    world.append(1_500)
    world.startRelay()
    await world.pass(1)
    world.wipeTopic()
    await world.pass(30)
    world.append(10)
    await world.pass(1)
    expectWhole()
    expect(world.topic.records).toHaveLength(10)
    expect(world.told).toContain('what was published is gone: it is read from the log')
  })

  test('gets what comes next from the relay that comes next', async () => {
    world.append(1_500)
    world.startRelay()
    await world.pass(1)
    await world.stop()
    world.wipeTopic()
    world.append(10)
    world.startRelay()
    await world.pass(30)
    expectWhole()
    expect(world.topic.records).toHaveLength(10)
  })

  test('and divided anew is filled from the start of the log', async () => {
    world.append(1_500)
    world.startRelay()
    await world.pass(1)
    await world.stop()
    world.topic.divideAnew()
    world.append(10)
    world.startRelay()
    await world.pass(30)
    expectWhole()
  })
})

describe('a log that everybody has read up to a place', () => {
  test('is published from there on, and not again by who begins there later', async () => {
    world.append(1_500)
    const from = await world.newFeed().head()
    const begin = (position: string) => {
      return beginAt({ checkpoint: world.checkpoint, owner: 'setup' }, position)
    }
    await begin(from)
    world.append(10)
    world.startRelay()
    await world.pass(10)
    await world.stop()
    await begin(from)
    world.append(5)
    world.startRelay()
    await world.pass(10)
    const published = world.topic.records.map(({ position }) => position)
    expect(published).toEqual(world.positions.slice(1_500))
  })
})

describe('a log that was restored', () => {
  test('and ends before what was carried is told of, and not waited for in silence', async () => {
    world.append(1_500)
    world.startRelay()
    await world.pass(1)
    await world.stop()
    const isWhole = () => isLogWhole({ feed: world.newFeed(), checkpoint: world.checkpoint })
    expect(await isWhole()).toBe(true)
    world.restore(1_000)
    expect(await isWhole()).toBe(false)
    world.startRelay()
    await world.pass(30)
    expect(world.told.at(-1)).toBe('loop turn failed')
    world.append(400)
    await world.pass(30)
    expect(world.topic.records).toHaveLength(1_500)
    expect(world.told.slice(1)).not.toContain('relay took over')
  })
})

describe('takeover', () => {
  /** Ports' calls of a relay that carries this log and stops, in their order. */
  async function run(life: Life): Promise<void> {
    world = new RelayWorld()
    world.append(2_300)
    world.startRelay(life)
    await world.pass(1)
    world.append(20)
    await world.pass(8)
  }

  async function callsOf(): Promise<number> {
    const life = new Life()
    let calls = 0
    life.endBefore = () => {
      calls += 1
      return false
    }
    await run(life)
    await world.stop()
    return calls
  }

  const moments = {
    before: (life: Life, isNow: () => boolean) => (life.endBefore = isNow),
    after: (life: Life, isNow: () => boolean) => (life.endAfter = isNow),
  }

  test.each(['before', 'after'] as const)('killed %s any of its calls', async (moment) => {
    const count = await callsOf()
    expect(count).toBeGreaterThan(15)
    for (let deadly = 0; deadly < count; deadly += 1) {
      const life = new Life()
      let call = 0
      moments[moment](life, () => call++ === deadly)
      await run(life)
      world.startRelay()
      await world.pass(30)
      expectWhole()
      const twice = world.topic.records.length - world.positions.length
      expect(twice).toBeLessThanOrEqual(pageEventsMax)
      await world.stop()
    }
  })

  /** A relay that stands still before one of its calls until it is told to go on. */
  function sleeper(isNow: (call: Call) => boolean): { life: Life; wake: () => void } {
    const life = new Life()
    let wake = (): void => undefined
    let isAsleep = false
    life.before = (call) => {
      if (isAsleep || !isNow(call)) return null
      isAsleep = true
      return new Promise((resolve) => (wake = resolve))
    }
    return { life, wake: () => wake() }
  }

  test.each(['readPage', 'publish', 'move', 'holds', 'open'])(
    'a zombie that slept before %s does no harm when it wakes up',
    async (method) => {
      let met = 0
      const { life, wake } = sleeper((call) => call.method === method && met++ === 1)
      world.append(3_500)
      world.startRelay(life)
      await world.pass(4)
      world.startRelay()
      await world.pass(30)
      world.append(40)
      await world.pass(1)
      wake()
      await world.pass(30)
      world.append(5)
      await world.pass(5)
      expectWhole()
      expect(world.topic.records.length).toBeLessThanOrEqual(3_545 + pageEventsMax)
    },
  )

  test('a zombie that wakes up over a replaced topic publishes nothing there', async () => {
    let met = 0
    const { life, wake } = sleeper((call) => call.method === 'publish' && met++ === 1)
    world.append(3_500)
    world.startRelay(life)
    await world.pass(1)
    world.wipeTopic()
    wake()
    await world.pass(30)
    expectWhole()
    expect(world.topic.records).toHaveLength(2_500)
  })

  test('two relays that both think they hold the lease, in many interleavings', async () => {
    for (let seed = 1; seed <= 12; seed += 1) {
      const random = new Random(seed)
      world = new RelayWorld()
      for (let relay = 0; relay < 3; relay += 1) {
        const life = new Life()
        // Most calls take no time, some take longer than the lease.
        life.before = ({ method }) =>
          slowCalls.has(method) && random.chance(0.3)
            ? world.clock.sleep(random.between(1, 30_000))
            : null
        const failAt = random.chance(0.3) ? random.between(0, 40) : -1
        let call = 0
        life.endAfter = () => call++ === failAt
        world.startRelay(life)
      }
      for (let round = 0; round < 6; round += 1) {
        world.append(random.between(0, 1_500))
        await world.pass(random.between(0, 40))
        if (random.chance(0.1)) world.wipeTopic()
      }
      world.startRelay()
      await world.pass(200)
      expectWhole(seed)
      await world.stop()
    }
  })
})
