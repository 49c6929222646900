import { randomUUID } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import type {
  ClaimedDelivery,
  DeliveryClaim,
  DeliveryOutcome,
  DeliveryStore,
  NewDelivery,
} from '../../domain/ports/delivery-store.ts'

const leaseMs = 60_000
const delivered: DeliveryOutcome = { kind: 'delivered', httpStatus: 204, error: null }

// Each test has a day of its own, later than the last one's, and leaves nothing due behind.
let day = Date.UTC(2026, 0, 1)

function newDay(): number {
  day += 24 * 3_600_000
  return day
}

function newDelivery(nowMs: number, change: Partial<NewDelivery> = {}): NewDelivery {
  return {
    deliveryId: randomUUID(),
    orgId: 'org-1',
    jobId: 'job-1',
    endpointId: null,
    url: 'https://hooks.example.com/weir',
    eventType: 'job.succeeded',
    sequence: 3,
    body: '{"type":"job.succeeded","text":"grüße\\u0000"}',
    nowMs,
    ...change,
  }
}

const claimAt = (nowMs: number, change: Partial<DeliveryClaim> = {}): DeliveryClaim => ({
  nowMs,
  limit: 100,
  leaseMs,
  perHostMax: 100,
  inFlightByHost: new Map(),
  perOrgMax: 500,
  inFlightByOrg: new Map(),
  ...change,
})

const idsOf = (deliveries: readonly { deliveryId: string }[]) =>
  deliveries.map(({ deliveryId }) => deliveryId)

async function claimOne(store: DeliveryStore, nowMs: number): Promise<ClaimedDelivery> {
  const claimed = await store.claimDue(claimAt(nowMs))
  expect(claimed).toHaveLength(1)
  const only = claimed[0]
  if (only === undefined) throw new Error('nothing was claimed')
  return only
}

async function finishAll(store: DeliveryStore, claimed: readonly ClaimedDelivery[]) {
  for (const each of claimed) expect(await store.finish(each, delivered, day)).toBe(true)
}

/**
 * What every store of deliveries promises.
 *
 * @param pass lets time go by for its claims
 */
export function deliveryStoreContract(
  given: () => DeliveryStore,
  pass: (ms: number) => Promise<void>,
): void {
  claims(given)
  fairness(given)
  outcomes(given)
  lostClaims(given, pass)
  lists(given)
  replays(given)
}

function claims(given: () => DeliveryStore): void {
  describe('claims', () => {
    test('a delivery is claimed as it was written, and by nobody else', async () => {
      const nowMs = newDay()
      const written = newDelivery(nowMs, { url: 'https://Hooks.Example.com:8443/a?b' })
      await given().enqueue([written])
      const claimed = await claimOne(given(), nowMs)
      const { lockedUntilMs } = claimed
      const host = 'hooks.example.com:8443'
      expect({ ...claimed, nowMs }).toEqual({ ...written, attempt: 0, host, lockedUntilMs })
      expect(await given().claimDue(claimAt(nowMs))).toEqual([])
      await finishAll(given(), [claimed])
    })

    test('a host ends where that of the URL does, and a long one is taken too', async () => {
      const nowMs = newDay()
      const text = Array.from({ length: 1_900 }, (_, n) => String.fromCodePoint(0x4e00 + n * 11))
      const long = text.join('')
      const rests = [`?${long}`, `#${long}`, `\\${long}`, `.${long}`]
      const written = rests.map((rest, sequence) =>
        newDelivery(nowMs + sequence, { url: `https://a.example${rest}`, sequence }),
      )
      await given().enqueue(written)
      const claimed = await given().claimDue(claimAt(nowMs + 10))
      const host = 'a.example'
      const cut = `${host}.${text.slice(0, 245).join('')}`
      expect(claimed.map((each) => each.host)).toEqual([host, host, host, cut])
      expect(claimed.map(({ url }) => url)).toEqual(written.map(({ url }) => url))
      await finishAll(given(), claimed)
    })

    test('what is not due yet is not claimed', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs)])
      expect(await given().claimDue(claimAt(nowMs - 1))).toEqual([])
      await finishAll(given(), [await claimOne(given(), nowMs)])
    })

    test('the oldest come first, up to the limit', async () => {
      const nowMs = newDay()
      const written = [3, 1, 2, 0].map((n) => newDelivery(nowMs + n, { sequence: n }))
      await given().enqueue(written)
      const first = await given().claimDue(claimAt(nowMs + 10, { limit: 3 }))
      const rest = await given().claimDue(claimAt(nowMs + 10, { limit: 3 }))
      expect([...first, ...rest].map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3])
      await finishAll(given(), [...first, ...rest])
    })

    test('an id that is known stays as it is', async () => {
      const nowMs = newDay()
      const written = newDelivery(nowMs)
      await given().enqueue([written])
      await given().enqueue([{ ...written, body: 'other' }, newDelivery(nowMs + 1)])
      const claimed = await claimOne(given(), nowMs)
      expect(claimed.body).toBe(written.body)
      await finishAll(given(), [claimed, await claimOne(given(), nowMs + 1)])
      await given().enqueue([written])
      expect(await given().claimDue(claimAt(nowMs))).toEqual([])
    })

    test('what is about no job and goes to an endpoint is kept so', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs, { jobId: null, endpointId: 'e1' })])
      const claimed = await claimOne(given(), nowMs)
      expect(claimed).toMatchObject({ jobId: null, endpointId: 'e1' })
      await finishAll(given(), [claimed])
    })

    test('senders that claim at the same time never share a delivery', async () => {
      const nowMs = newDay()
      const written = Array.from({ length: 60 }, () => newDelivery(nowMs))
      await given().enqueue(written)
      const claimed: ClaimedDelivery[] = []
      while (claimed.length < written.length) {
        const some = await Promise.all(
          Array.from({ length: 4 }, () => given().claimDue(claimAt(nowMs, { limit: 7 }))),
        )
        claimed.push(...some.flat())
      }
      expect(idsOf(claimed).sort()).toEqual(idsOf(written).sort())
      await finishAll(given(), claimed)
    })

    test('nothing to write and nothing to give back is fine', async () => {
      await given().enqueue([])
      await given().release([])
      expect(await given().find(randomUUID())).toBeNull()
    })
  })
}

const toHost = (nowMs: number, host: string) =>
  newDelivery(nowMs, { url: `https://${host}.example.com/` })

const countByHost = (claimed: readonly ClaimedDelivery[]) =>
  claimed.reduce<Record<string, number>>(
    (counts, { host }) => ({ ...counts, [host]: (counts[host] ?? 0) + 1 }),
    {},
  )

function fairness(given: () => DeliveryStore): void {
  describe('fairness between hosts', () => {
    test('a claim takes so many of one host at most', async () => {
      const nowMs = newDay()
      const busy = Array.from({ length: 8 }, () => toHost(nowMs, 'busy'))
      await given().enqueue([...busy, toHost(nowMs + 1, 'calm')])
      const claimed = await given().claimDue(claimAt(nowMs + 1, { perHostMax: 5 }))
      expect(countByHost(claimed)).toEqual({ 'busy.example.com': 5, 'calm.example.com': 1 })
      const rest = await given().claimDue(claimAt(nowMs + 1, { perHostMax: 5 }))
      await finishAll(given(), [...claimed, ...rest])
    })

    test('what the caller has under way counts', async () => {
      const nowMs = newDay()
      const written = [1, 2, 3, 4].flatMap(() => [toHost(nowMs, 'a'), toHost(nowMs, 'b')])
      await given().enqueue(written)
      const inFlightByHost = new Map([
        ['a.example.com', 4],
        ['b.example.com', 7],
      ])
      const claimed = await given().claimDue(claimAt(nowMs, { perHostMax: 5, inFlightByHost }))
      expect(countByHost(claimed)).toEqual({ 'a.example.com': 1 })
      await finishAll(given(), [...claimed, ...(await given().claimDue(claimAt(nowMs)))])
    })

    test('a long backlog of a host that is busy hides nobody', async () => {
      const nowMs = newDay()
      const backlog = Array.from({ length: 1_200 }, () => toHost(nowMs, 'slow'))
      await given().enqueue([...backlog, toHost(nowMs + 1, 'quick')])
      const inFlightByHost = new Map([['slow.example.com', 5]])
      const claim = claimAt(nowMs + 1, { perHostMax: 5, inFlightByHost })
      const claimed = await given().claimDue(claim)
      expect(countByHost(claimed)).toEqual({ 'quick.example.com': 1 })
      await finishAll(given(), claimed)
      for (let left = backlog.length; left > 0;) {
        const some = await given().claimDue(claimAt(nowMs, { limit: 500, perHostMax: 500 }))
        expect(some.length).toBeGreaterThan(0)
        await finishAll(given(), some)
        left -= some.length
      }
    })

    test('hosts take turns when there is not room for all', async () => {
      const nowMs = newDay()
      const many = Array.from({ length: 6 }, () => toHost(nowMs, 'many'))
      await given().enqueue([...many, toHost(nowMs + 1, 'few')])
      const claimed = await given().claimDue(claimAt(nowMs + 1, { limit: 3 }))
      expect(countByHost(claimed)).toEqual({ 'many.example.com': 2, 'few.example.com': 1 })
      await finishAll(given(), [...claimed, ...(await given().claimDue(claimAt(nowMs + 1)))])
    })
  })

  describe('fairness between orgs', () => {
    /** One org with a receiver for each of its deliveries, and another one that comes later. */
    async function crowd(nowMs: number) {
      const many = Array.from({ length: 8 }, (_, n) => toHost(nowMs, `many-${n}`))
      await given().enqueue([...many, { ...toHost(nowMs + 1, 'few'), orgId: 'org-2' }])
    }

    const countByOrg = (claimed: readonly ClaimedDelivery[]) => {
      const count = (org: string): number => claimed.filter(({ orgId }) => orgId === org).length
      return [count('org-1'), count('org-2')]
    }

    test('a claim takes so many of one org at most, those under way included', async () => {
      const nowMs = newDay()
      await crowd(nowMs)
      const inFlightByOrg = new Map([['org-1', 2]])
      const claimed = await given().claimDue(claimAt(nowMs + 1, { perOrgMax: 5, inFlightByOrg }))
      expect(countByOrg(claimed)).toEqual([3, 1])
      const rest = await given().claimDue(claimAt(nowMs + 1))
      expect(countByOrg(rest)).toEqual([5, 0])
      await finishAll(given(), [...claimed, ...rest])
    })

    test('orgs take turns when there is not room for all, whatever hosts they have', async () => {
      const nowMs = newDay()
      await crowd(nowMs)
      const claimed = await given().claimDue(claimAt(nowMs + 1, { limit: 3 }))
      expect(countByOrg(claimed)).toEqual([2, 1])
      await finishAll(given(), [...claimed, ...(await given().claimDue(claimAt(nowMs + 1)))])
    })
  })
}

function outcomes(given: () => DeliveryStore): void {
  describe('outcomes', () => {
    test('a delivered one is over', async () => {
      const nowMs = newDay()
      const written = newDelivery(nowMs)
      await given().enqueue([written])
      const claimed = await claimOne(given(), nowMs)
      expect(await given().finish(claimed, delivered, nowMs + 5)).toBe(true)
      const { body: _, nowMs: createdAtMs, ...about } = written
      expect(await given().find(claimed.deliveryId)).toEqual({
        ...{ ...about, createdAtMs },
        status: 'delivered',
        attempt: 1,
        nextAttemptAtMs: nowMs,
        lockedUntilMs: null,
        lastStatus: 204,
        lastError: null,
      })
      expect(await given().claimDue(claimAt(nowMs + 10 * leaseMs))).toEqual([])
    })

    test('a failed one comes back at its time, the same but for the attempt', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs)])
      const claimed = await claimOne(given(), nowMs)
      const nextAttemptAtMs = nowMs + 5_001
      const failure = { httpStatus: 500, error: 'http_500' }
      await given().finish(claimed, { kind: 'retry', nextAttemptAtMs, ...failure }, nowMs)
      expect(await given().find(claimed.deliveryId)).toMatchObject({
        status: 'pending',
        attempt: 1,
        nextAttemptAtMs,
        lockedUntilMs: null,
        lastStatus: 500,
        lastError: 'http_500',
      })
      expect(await given().claimDue(claimAt(nextAttemptAtMs - 1))).toEqual([])
      const again = await claimOne(given(), nextAttemptAtMs)
      const { lockedUntilMs } = again
      expect(again).toEqual({ ...claimed, attempt: 1, lockedUntilMs })
      await finishAll(given(), [again])
    })

    test('a parked one stays visible and is not tried again', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs)])
      const claimed = await claimOne(given(), nowMs)
      const failure = { httpStatus: null, error: 'dns_failed' }
      await given().finish(claimed, { kind: 'parked', ...failure }, nowMs)
      expect(await given().find(claimed.deliveryId)).toMatchObject({
        status: 'parked',
        attempt: 1,
        lastStatus: null,
        lastError: 'dns_failed',
      })
      expect(await given().claimDue(claimAt(nowMs + 10 * leaseMs))).toEqual([])
    })

    test('a released one is due at once, and no attempt is counted', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs), newDelivery(nowMs)])
      const claimed = await given().claimDue(claimAt(nowMs))
      await given().release(claimed)
      const again = await given().claimDue(claimAt(nowMs))
      expect(idsOf(again)).toEqual(idsOf(claimed))
      expect(again.map(({ attempt }) => attempt)).toEqual([0, 0])
      await finishAll(given(), again)
    })
  })
}

function lostClaims(given: () => DeliveryStore, pass: (ms: number) => Promise<void>): void {
  describe('claims that ran out', () => {
    test('a delivery whose sender died comes back when its claim ends', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs)])
      const claimed = await claimOne(given(), nowMs)
      await pass(leaseMs / 2)
      expect(await given().claimDue(claimAt(nowMs + leaseMs / 2))).toEqual([])
      await pass(leaseMs / 2)
      const again = await claimOne(given(), nowMs + leaseMs)
      expect(again).toMatchObject({ deliveryId: claimed.deliveryId, attempt: 0 })
      await finishAll(given(), [again])
    })

    test('a claim ends by the clock of the store, whatever time its senders have', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs)])
      const claimed = await claimOne(given(), nowMs + 10 * leaseMs)
      expect(await given().claimDue(claimAt(nowMs + 20 * leaseMs))).toEqual([])
      await pass(leaseMs)
      const again = await claimOne(given(), nowMs)
      expect(again.deliveryId).toBe(claimed.deliveryId)
      await finishAll(given(), [again])
    })

    test('the late holder of a claim changes nothing', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs)])
      const late = await claimOne(given(), nowMs)
      await pass(leaseMs)
      const now = await claimOne(given(), nowMs + leaseMs)
      expect(await given().finish(late, delivered, nowMs)).toBe(false)
      await given().release([late])
      expect(await given().find(late.deliveryId)).toMatchObject({
        status: 'pending',
        attempt: 0,
        lockedUntilMs: now.lockedUntilMs,
      })
      await finishAll(given(), [now])
      expect(await given().finish(now, delivered, nowMs)).toBe(false)
      expect(await given().find(late.deliveryId)).toMatchObject({ attempt: 1 })
    })
  })
}

/** Writes deliveries of a new org, one per time, and ends them as told. */
async function deliveriesOf(
  store: DeliveryStore,
  times: readonly number[],
  endings: readonly DeliveryOutcome[] = [],
): Promise<{ readonly orgId: string; readonly ids: readonly string[] }> {
  const orgId = randomUUID()
  const written = times.map((time) => newDelivery(time, { orgId }))
  await store.enqueue(written)
  const claimed = await store.claimDue(claimAt(Math.max(...times)))
  for (const held of claimed) {
    const ending = endings[written.findIndex(({ deliveryId }) => deliveryId === held.deliveryId)]
    if (ending) await store.finish(held, ending, day)
    else await store.release([held])
  }
  return { orgId, ids: idsOf(written) }
}

const parked: DeliveryOutcome = { kind: 'parked', httpStatus: 410, error: 'http_410' }

async function drain(store: DeliveryStore): Promise<void> {
  await finishAll(store, await store.claimDue(claimAt(day + 1_000)))
}

function lists(given: () => DeliveryStore): void {
  describe('lists', () => {
    test('show an org its own, newest first', async () => {
      const nowMs = newDay()
      const { orgId, ids } = await deliveriesOf(given(), [nowMs, nowMs + 2, nowMs + 1])
      await deliveriesOf(given(), [nowMs])
      const [first, third, second] = ids
      const all = await given().list({ orgId, status: null, after: null, limit: 10 })
      expect(idsOf(all)).toEqual([third, second, first])
      expect(all).toEqual(await Promise.all(idsOf(all).map((id) => given().find(id))))
      await drain(given())
    })

    test('go on after the last one of a page, also among those of one time', async () => {
      const nowMs = newDay()
      const times = [0, 0, 0, 1, 1, 2].map((later) => nowMs + later)
      const { orgId } = await deliveriesOf(given(), times)
      const whole = await given().list({ orgId, status: null, after: null, limit: 10 })
      expect(whole.map(({ createdAtMs }) => createdAtMs)).toEqual(times.toReversed())
      const paged: string[] = []
      for (let after: (typeof whole)[number] | null = null; ;) {
        const page = await given().list({ orgId, status: null, after, limit: 2 })
        paged.push(...idsOf(page))
        after = page.at(-1) ?? null
        if (!after) break
      }
      expect(paged).toEqual(idsOf(whole))
      await drain(given())
    })

    test('can show one status only', async () => {
      const nowMs = newDay()
      const times = [nowMs, nowMs + 1, nowMs + 2]
      const { orgId, ids } = await deliveriesOf(given(), times, [delivered, parked])
      const idOf = async (status: 'delivered' | 'parked' | 'pending') =>
        idsOf(await given().list({ orgId, status, after: null, limit: 10 }))
      expect(await idOf('delivered')).toEqual([ids[0]])
      expect(await idOf('parked')).toEqual([ids[1]])
      expect(await idOf('pending')).toEqual([ids[2]])
      await drain(given())
    })
  })
}

function replays(given: () => DeliveryStore): void {
  describe('a replay', () => {
    test.each([
      ['parked', parked],
      ['delivered', delivered],
    ])('of a %s one is due at once, as at the beginning', async (_, ending) => {
      const nowMs = newDay()
      const { ids } = await deliveriesOf(given(), [nowMs], [ending])
      const deliveryId = ids[0] ?? ''
      expect(await given().replay(deliveryId, nowMs + 7)).toBe(true)
      expect(await given().find(deliveryId)).toMatchObject({
        ...{ status: 'pending', attempt: 0, nextAttemptAtMs: nowMs + 7, createdAtMs: nowMs },
        lockedUntilMs: null,
      })
      expect(await given().claimDue(claimAt(nowMs + 6))).toEqual([])
      const again = await claimOne(given(), nowMs + 7)
      expect(again).toMatchObject({ deliveryId, attempt: 0 })
      await finishAll(given(), [again])
    })

    test('of one that is not over changes nothing', async () => {
      const nowMs = newDay()
      await given().enqueue([newDelivery(nowMs)])
      const claimed = await claimOne(given(), nowMs)
      expect(await given().replay(claimed.deliveryId, nowMs + 7)).toBe(false)
      expect(await given().find(claimed.deliveryId)).toMatchObject({
        nextAttemptAtMs: nowMs,
        lockedUntilMs: claimed.lockedUntilMs,
      })
      await finishAll(given(), [claimed])
    })

    test('of one that is not there is none', async () => {
      expect(await given().replay(randomUUID(), newDay())).toBe(false)
    })
  })

  describe('forgetting', () => {
    test('ends with what was taken before a time, of every org, in batches', async () => {
      const nowMs = newDay()
      const times = [nowMs, nowMs + 1, nowMs + 2, nowMs + 3, nowMs + 9]
      const endings = [delivered, parked, delivered]
      const { orgId } = await deliveriesOf(given(), times.slice(0, 4), endings)
      const other = await deliveriesOf(given(), times.slice(2), [delivered, delivered, delivered])
      // Those of other tests are older.
      const forgotten: number[] = []
      while (forgotten.at(-1) !== 0) forgotten.push(await given().forget(nowMs + 4, 3))
      expect(Math.max(...forgotten)).toBe(3)
      const statusesOf = async (org: string): Promise<readonly string[]> => {
        const left = await given().list({ orgId: org, status: null, after: null, limit: 10 })
        return left.map(({ status }) => status)
      }
      expect(await statusesOf(orgId)).toEqual(['pending', 'parked'])
      expect(await statusesOf(other.orgId)).toEqual(['delivered'])
      await drain(given())
    })
  })

  describe('parking all', () => {
    test('ends what waits, claimed or not, and nothing else', async () => {
      const nowMs = newDay()
      const { ids } = await deliveriesOf(given(), [nowMs], [delivered])
      await given().enqueue([newDelivery(nowMs), newDelivery(nowMs)])
      const claimed = await given().claimDue(claimAt(nowMs, { limit: 1 }))
      expect(await given().parkAll('moved', nowMs + 5)).toBe(2)
      expect(await given().parkAll('moved', nowMs + 5)).toBe(0)
      expect(await given().claimDue(claimAt(nowMs + leaseMs))).toEqual([])
      const [first] = claimed
      if (!first) throw new Error('nothing was claimed')
      expect(await given().finish(first, delivered, nowMs)).toBe(false)
      expect(await given().find(first.deliveryId)).toMatchObject({
        ...{ status: 'parked', lastError: 'moved', lockedUntilMs: null },
      })
      expect(await given().find(ids[0] ?? '')).toMatchObject({ status: 'delivered' })
      expect(await given().replay(first.deliveryId, nowMs)).toBe(true)
      await finishAll(given(), [await claimOne(given(), nowMs)])
    })
  })
}
