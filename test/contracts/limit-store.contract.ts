import { expect, test } from '@jest/globals'
import type { LimitCheck, LimitDecision, LimitStore } from '../../domain/ports/limit-store.ts'
import { newStream } from './event-store.contract.ts'

const now = Date.UTC(2026, 0, 1)

function newCheck(max: number, windowMs: number, cost = 1): LimitCheck {
  return { key: `org:${newStream()}:requests`, max, windowMs, cost }
}

/** What every limit store promises. */
export function limitStoreContract(given: () => LimitStore): void {
  const take = (check: LimitCheck, at = now): Promise<LimitDecision> => given().take([check], at)

  test('lets a whole window pass at once, then refuses', async () => {
    const check = newCheck(3, 1_000)
    expect(await take(check)).toEqual({ allowed: true, remaining: [2] })
    expect(await take(check)).toEqual({ allowed: true, remaining: [1] })
    expect(await take(check)).toEqual({ allowed: true, remaining: [0] })
    const refused = { allowed: false, key: check.key, used: 3, retryAfterMs: 334 }
    expect(await take(check)).toEqual(refused)
    expect(await take(check)).toEqual(refused)
  })

  test('the request passes after exactly the time it was told to wait', async () => {
    const check = newCheck(2, 60_000)
    await take(check)
    await take(check)
    expect(await take(check)).toMatchObject({ retryAfterMs: 30_000 })
    expect(await take(check, now + 29_999)).toMatchObject({ allowed: false, retryAfterMs: 1 })
    expect(await take(check, now + 30_000)).toEqual({ allowed: true, remaining: [0] })
    expect(await take(check, now + 30_000)).toMatchObject({ allowed: false })
  })

  test('a counter left alone is full again after its window', async () => {
    const check = newCheck(5, 1_000, 5)
    expect(await take(check)).toEqual({ allowed: true, remaining: [0] })
    expect(await take(check, now + 999)).toMatchObject({ allowed: false })
    expect(await take(check, now + 5_000)).toEqual({ allowed: true, remaining: [0] })
  })

  test('passes no more than its rate over a long time', async () => {
    const check = newCheck(10, 1_000)
    let passed = 0
    for (let ms = 0; ms < 10_000; ms += 20) {
      if ((await take(check, now + ms)).allowed) passed += 1
    }
    expect(passed).toBe(10 + 99)
  })

  test('a cost counts as that many requests', async () => {
    const check = newCheck(10, 1_000, 4)
    expect(await take(check)).toEqual({ allowed: true, remaining: [6] })
    expect(await take(check)).toEqual({ allowed: true, remaining: [2] })
    const refusal = { allowed: false, used: 8, retryAfterMs: 200 }
    expect(await take(check)).toMatchObject(refusal)
    expect(await take({ ...check, cost: 2 })).toEqual({ allowed: true, remaining: [0] })
    expect(await take({ ...check, cost: 0 })).toEqual({ allowed: true, remaining: [0] })
  })

  test('what can never pass is refused', async () => {
    // Whoever asks again does so after a window, not never.
    const refused = { allowed: false, used: 0, retryAfterMs: 1_000 }
    expect(await take(newCheck(0, 1_000))).toMatchObject(refused)
    expect(await take(newCheck(3, 1_000, 9))).toMatchObject(refused)
  })

  test('several checks are all counted or none', async () => {
    const [wide, narrow] = [newCheck(10, 1_000), newCheck(1, 60_000)]
    const both = (): Promise<LimitDecision> => given().take([wide, narrow], now)
    expect(await both()).toEqual({ allowed: true, remaining: [9, 0] })
    for (let at = 0; at < 3; at += 1) {
      const refused = { allowed: false, key: narrow.key, used: 1, retryAfterMs: 60_000 }
      expect(await both()).toEqual(refused)
    }
    expect(await take(wide)).toEqual({ allowed: true, remaining: [8] })
  })

  test('counters that are asked for together are each their own, in any script', async () => {
    const { key } = newCheck(9, 1_000)
    // By bytes the smiley comes last, by UTF-16 units the wide letter.
    const checks = ['\uff21', '\u{1f600}', 'b', 'a'].map((name) => {
      return { ...newCheck(9, 1_000), key: `${key}:${name}` }
    })
    for (const check of checks.slice(1, 3)) await take(check)
    await take(checks[1]!)
    const both = await Promise.all([given().take(checks, now), given().take(checks, now)])
    expect(both).toEqual([
      { allowed: true, remaining: [8, 6, 7, 8] },
      { allowed: true, remaining: [7, 5, 6, 7] },
    ])
  })

  test('of several refusals the one that lasts longest is named', async () => {
    const [short, long] = [newCheck(1, 1_000), newCheck(1, 60_000)]
    await given().take([short, long], now)
    const refused = await given().take([short, long], now)
    expect(refused).toMatchObject({ key: long.key, retryAfterMs: 60_000 })
  })

  test('what is given back can be taken again, and never more than that', async () => {
    const [wide, narrow] = [newCheck(10, 1_000), newCheck(1, 60_000)]
    const both = (): Promise<LimitDecision> => given().take([wide, narrow], now)
    expect(await both()).toMatchObject({ allowed: true })
    expect(await both()).toMatchObject({ allowed: false })
    await given().give([wide, narrow], now)
    expect(await both()).toEqual({ allowed: true, remaining: [9, 0] })
    expect(await both()).toMatchObject({ allowed: false })
    await given().give([wide, narrow], now + 60_000)
    const full = { ...narrow, cost: 0 }
    expect(await given().take([full], now + 60_000)).toEqual({ allowed: true, remaining: [1] })
  })

  test('counters that are empty are forgotten in batches, others go on counting', async () => {
    const empty = [newCheck(1, 1_000), newCheck(1, 1_000), newCheck(1, 1_000)]
    const busy = newCheck(1, 3_600_000)
    const at = now + 10_000_000_000
    for (const check of [...empty, busy]) await given().take([check], at)
    const forgotten: number[] = []
    while (forgotten.at(-1) !== 0) forgotten.push(await given().forget(at + 2_000, 2))
    expect(forgotten.reduce((sum, each) => sum + each)).toBeGreaterThanOrEqual(3)
    expect(Math.max(...forgotten)).toBe(2)
    expect(await given().take([busy], at + 2_000)).toMatchObject({ allowed: false })
    for (const check of empty) {
      expect(await given().take([check], at + 2_000)).toMatchObject({ allowed: true })
    }
  })

  test('what is forgotten while requests are counted costs none of them its count', async () => {
    const at = now + 20_000_000_000
    const checks = Array.from({ length: 20 }, () => newCheck(1, 1_000))
    const all = async (time: number) => {
      const decisions = await Promise.all(checks.map((check) => given().take([check], time)))
      return decisions.filter(({ allowed }) => allowed).length
    }
    for (let round = 0; round < 20; round += 1) {
      const time = at + round * 10_000
      const [first] = await Promise.all([
        all(time),
        given()
          .forget(time, 100)
          .catch(() => 0),
      ])
      expect(first).toBe(20)
      expect(await all(time)).toBe(0)
    }
  })

  test('no check is no limit', async () => {
    expect(await given().take([], now)).toEqual({ allowed: true, remaining: [] })
  })

  test('requests made at once pass exactly as often as the limit says', async () => {
    const shared = newCheck(100, 3_600_000)
    const own = Array.from({ length: 10 }, () => newCheck(15, 3_600_000))
    const requests = Array.from({ length: 300 }, (_, at) => own[at % 10] ?? shared)
    const takes = requests.map((check, at) =>
      given().take(at % 2 === 0 ? [check, shared] : [shared, check], now),
    )
    const passed = (await Promise.all(takes)).filter((decision) => decision.allowed)
    expect(passed).toHaveLength(100)
    expect(await take(shared)).toMatchObject({ allowed: false, used: 100 })
  })
}
