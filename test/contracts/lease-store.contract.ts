import { randomUUID } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import type { Claim, Lease, LeaseStore } from '../../domain/ports/lease-store.ts'
import type { ReadModelStore } from '../../domain/ports/read-model-store.ts'
import {
  concurrencyLimitTable,
  type ConcurrencyLimitRow,
} from '../../projections/concurrency-limit.ts'
import { jobQueueTable, type JobQueueRow } from '../../projections/job-queue.ts'

const minuteMs = 60_000
// So long that what a test takes itself does not matter.
const leaseMs = 60 * minuteMs

// Each test has a day and a job type of its own, so that it meets no rows of another.
let day = Date.UTC(2026, 0, 1)

type World = { readonly now: number; readonly jobType: string }

function newWorld(): World {
  day += 24 * 60 * minuteMs
  return { now: day, jobType: `type-${randomUUID()}` }
}

const iso = (ms: number): string => new Date(ms).toISOString()

function queued({ now, jobType }: World, more: Partial<JobQueueRow> = {}): JobQueueRow {
  return {
    jobId: randomUUID(),
    orgId: 'org-1',
    userId: null,
    jobType,
    state: 'queued',
    priority: 1,
    turn: 1,
    runAt: null,
    deadlineAt: null,
    cancelRequested: false,
    revision: 0,
    queuedAt: iso(now),
    ...more,
  }
}

export type LeaseWorld = {
  readonly leases: LeaseStore
  readonly store: ReadModelStore
  /** Lets so much time go by on the clock of the store of leases. */
  readonly pass: (ms: number) => Promise<void>
  /** Another org limits what runs: then somebody may always be waiting for a slot. */
  readonly isLimited?: boolean
}

/** What every store of leases promises. The queue is written through the read-model store. */
export function leaseStoreContract(given: () => LeaseWorld): void {
  claiming(given)
  limiting(given)
  racing(given)
  epochs(given)
  renewing(given)
  ending(given)
  adopting(given)
  deadlines(given)
}

function tools(given: () => LeaseWorld) {
  const put = (...rows: JobQueueRow[]) =>
    given().store.commit([], [{ table: jobQueueTable, put: rows, remove: [] }], 'live')
  const remove = (...jobIds: string[]) =>
    given().store.commit([], [{ table: jobQueueTable, put: [], remove: jobIds }], 'live')
  const ask = ({ now, jobType }: World, more: Partial<Claim> = {}) =>
    given().leases.claim({ owner: 'w1', jobTypes: [jobType], limit: 100, now, leaseMs, ...more })
  const claim = async (world: World, more: Partial<Claim> = {}) => (await ask(world, more)).leases
  const claimOne = async (world: World, more: Partial<Claim> = {}): Promise<Lease> => {
    const [lease, ...others] = await claim(world, more)
    if (!lease) throw new Error('nothing was claimed')
    expect(others).toEqual([])
    return lease
  }
  const release = (lease: Lease, revision: number) =>
    given().leases.release([{ jobId: lease.jobId, epoch: lease.epoch, revision }])
  const renew = (epochs: readonly number[], owner = 'w1') =>
    given().leases.renew({ owner, epochs, leaseMs })
  const expired = async ({ jobType }: World) => {
    const all = await given().leases.expired(1_000)
    return all.filter((each) => each.jobType === jobType)
  }
  const pass = (ms: number) => given().pass(ms)
  return { put, remove, ask, claim, claimOne, release, renew, expired, pass }
}

const jobIds = (leases: readonly { readonly jobId: string }[]) => leases.map(({ jobId }) => jobId)

function claiming(given: () => LeaseWorld): void {
  const { put, ask, claim, claimOne } = tools(given)

  describe('a claim', () => {
    test('gives what is queued, with its org, and to nobody else', async () => {
      const world = newWorld()
      const row = queued(world, { orgId: 'org-7' })
      await put(row)
      const { jobId, orgId, jobType } = row
      expect(await claimOne(world)).toMatchObject({ jobId, orgId, jobType })
      expect(await claim(world, { owner: 'w2' })).toEqual([])
      expect(await claim(world)).toEqual([])
    })

    test('goes by priority, then by turn, then by id', async () => {
      const world = newWorld()
      const row = (jobId: string, priority: number, turn: number) =>
        queued(world, { jobId: `${world.jobType}-${jobId}`, priority, turn })
      const rows = [
        row('f', 2, 1),
        row('d', 1, 7),
        row('c', 1, 7),
        row('e', 1, 8),
        row('a', 0, 90),
        row('b', 1, 2),
      ]
      await put(...rows)
      const order = jobIds(await claim(world)).map((jobId) => jobId.slice(-1))
      expect(order).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    })

    test('takes at most the limit, the first ones', async () => {
      const world = newWorld()
      const rows = [3, 1, 2, 5, 4].map((turn) => queued(world, { turn }))
      await put(...rows)
      const byTurn = jobIds(rows.toSorted((a, b) => a.turn - b.turn))
      expect(jobIds(await claim(world, { limit: 2 }))).toEqual(byTurn.slice(0, 2))
      expect(jobIds(await claim(world, { limit: 9 }))).toEqual(byTurn.slice(2))
    })

    test('tells whether others may wait', async () => {
      const world = newWorld()
      await put(queued(world), queued(world), queued(world))
      expect((await ask(world, { limit: 2 })).mayHaveMore).toBe(true)
      const { isLimited: mayHaveMore = false } = given()
      expect((await ask(world, { limit: 9 })).mayHaveMore).toBe(mayHaveMore)
      expect(await ask(world)).toEqual({ leases: [], mayHaveMore })
    })

    test('waits for runAt', async () => {
      const world = newWorld()
      const row = queued(world, { runAt: iso(world.now + 1_000) })
      await put(row)
      expect(await claim({ ...world, now: world.now + 999 })).toEqual([])
      expect(await claimOne({ ...world, now: world.now + 1_000 })).toMatchObject({
        jobId: row.jobId,
      })
    })

    test('mixes what became due with what was ready, by priority and turn', async () => {
      const world = newWorld()
      const past = iso(world.now - minuteMs)
      const rows = [
        queued(world, { priority: 0, turn: 9, runAt: past }),
        queued(world, { priority: 1, turn: 1 }),
        queued(world, { priority: 1, turn: 2, runAt: past }),
        queued(world, { priority: 1, turn: 3 }),
        queued(world, { priority: 2, turn: 0, runAt: iso(world.now) }),
      ]
      await put(...rows.toReversed())
      expect(jobIds(await claim(world))).toEqual(jobIds(rows))
    })

    test('leaves the job types that were not asked for', async () => {
      const [world, other] = [newWorld(), newWorld()]
      const rows = [queued(world), queued(other)]
      await put(...rows)
      expect(await claim(world, { jobTypes: [] })).toEqual([])
      expect(await claim(world)).toHaveLength(1)
      const both = [world.jobType, other.jobType]
      expect(jobIds(await claim(world, { jobTypes: both }))).toEqual([rows[1]?.jobId])
    })

    test('leaves what runs, and what is limited to nothing', async () => {
      const world = newWorld()
      await put(queued(world, { state: 'running', revision: 1 }), queued(world))
      expect(await claim(world, { limit: 0 })).toEqual([])
      expect(await claim(world)).toHaveLength(1)
    })
  })
}

function limiting(given: () => LeaseWorld): void {
  const { put, claim, release } = tools(given)
  type Terms = { scope: string; key?: string | null; max: number; until?: string | null }
  const store = (...rows: ConcurrencyLimitRow[]) =>
    given().store.commit([], [{ table: concurrencyLimitTable, put: rows, remove: [] }], 'live')
  const limit = (orgId: string, ...limits: readonly Terms[]) =>
    store({ orgId, limits: limits.map((each) => ({ key: null, until: null, ...each })) })
  const unlimit = (orgId: string) =>
    given().store.commit([], [{ table: concurrencyLimitTable, put: [], remove: [orgId] }], 'live')

  describe('a limit on what runs', () => {
    test('lets the rest wait until a lease is given back, and others pass', async () => {
      const world = newWorld()
      const orgId = randomUUID()
      const own = [1, 2, 3, 4].map((turn) => queued(world, { orgId, turn }))
      const other = queued(world, { turn: 9 })
      await put(...own, other)
      await limit(orgId, { scope: 'org', max: 2 })
      const [first, ...others] = await claim(world)
      if (!first) throw new Error('nothing was claimed')
      expect(jobIds([first, ...others])).toEqual(jobIds([...own.slice(0, 2), other]))
      expect(await claim(world, { owner: 'w2' })).toEqual([])
      await release(first, 5)
      expect(jobIds(await claim(world))).toEqual(jobIds(own.slice(2, 3)))
      await unlimit(orgId)
      expect(jobIds(await claim(world))).toEqual(jobIds(own.slice(3)))
    })

    test('is kept by claims that come at the same time', async () => {
      const world = newWorld()
      const orgId = randomUUID()
      await put(...Array.from({ length: 30 }, (_, turn) => queued(world, { orgId, turn })))
      await limit(orgId, { scope: 'org', max: 3 })
      const claims = [1, 2, 3, 4, 5, 6].map((n) => claim(world, { owner: `w${n}`, limit: 2 }))
      expect((await Promise.all(claims)).flat()).toHaveLength(3)
      await unlimit(orgId)
    })

    test('of each user, of a job type and of a provider counts apart', async () => {
      const [world, second] = [newWorld(), newWorld()]
      const orgId = randomUUID()
      const row = (userId: string | null, turn: number) => queued(world, { orgId, userId, turn })
      const rows = [row('ada', 1), row('ada', 2), row('bob', 3), row('bob', 4), row(null, 5)]
      await put(...rows, ...[6, 7].map((turn) => queued(second, { orgId, turn })))
      await limit(
        orgId,
        { scope: 'user', max: 1 },
        { scope: 'user', key: 'bob', max: 2 },
        { scope: 'provider', key: 'local', max: 1 },
      )
      const jobTypes = [world.jobType, second.jobType]
      const providers = new Map([[second.jobType, ['local']]])
      const leases = await claim(world, { jobTypes, providers })
      expect(leases).toHaveLength(5)
      expect(leases.filter(({ jobType }) => jobType === second.jobType)).toHaveLength(1)
      expect(jobIds(leases)).not.toContain(rows[1]?.jobId)
      await unlimit(orgId)
    })

    test('an override ends with its time', async () => {
      const world = newWorld()
      const orgId = randomUUID()
      await put(...[1, 2, 3].map((turn) => queued(world, { orgId, turn })))
      const until = iso(world.now + 1_000)
      await limit(orgId, { scope: 'org', max: 1 }, { scope: 'org', max: 2, until })
      expect(await claim({ ...world, now: world.now + 999 })).toHaveLength(2)
      expect(await claim({ ...world, now: world.now + 1_000 })).toEqual([])
      await unlimit(orgId)
    })

    test('a full org with a long queue does not hide what stands behind it', async () => {
      const world = newWorld()
      const orgId = randomUUID()
      await put(...Array.from({ length: 40 }, (_, turn) => queued(world, { orgId, turn })))
      const behind = queued(world, { turn: 99 })
      await put(behind)
      await limit(orgId, { scope: 'org', max: 1 })
      expect(await claim(world, { limit: 1 })).toHaveLength(1)
      expect(jobIds(await claim(world, { limit: 1 }))).toEqual([behind.jobId])
      await unlimit(orgId)
    })

    test('gives each job once, however far a claim has to look', async () => {
      const world = newWorld()
      const orgId = randomUUID()
      const full = Array.from({ length: 150 }, (_, n) => queued(world, { orgId, turn: 1 + n }))
      const others = [0, 0, 200, 201, 202].map((turn) => queued(world, { turn }))
      await put(...full, ...others)
      await limit(orgId, { scope: 'org', max: 1 })
      const claimed = jobIds(await claim(world, { limit: 5 }))
      const [first, second, third, fourth] = jobIds(others)
      expect([...claimed].sort()).toEqual([first, second, third, fourth, full[0]?.jobId].sort())
      await unlimit(orgId)
    })

    test('many users without room do not hide what stands behind them', async () => {
      const world = newWorld()
      const orgId = randomUUID()
      const users = Array.from({ length: 130 }, (_, n) => `user-${n}`)
      const ofEach = (turn: number) => users.map((userId) => queued(world, { orgId, userId, turn }))
      await limit(orgId, { scope: 'user', max: 1 })
      await put(...ofEach(1))
      expect(await claim(world, { limit: 130 })).toHaveLength(130)
      const behind = queued(world, { turn: 3 })
      await put(...ofEach(2), behind)
      expect(jobIds(await claim(world, { limit: 1 }))).toEqual([behind.jobId])
      await unlimit(orgId)
    })
  })
}

function racing(given: () => LeaseWorld): void {
  const { put, claim } = tools(given)

  describe('claimers at the same time', () => {
    test('never get the same job, and together get every one', async () => {
      const world = newWorld()
      const rows = Array.from({ length: 120 }, (_, turn) => queued(world, { turn }))
      await put(...rows)
      const claimed: string[] = []
      const claimAll = async (owner: string): Promise<void> => {
        while (claimed.length < rows.length) {
          const leases = await claim(world, { owner, limit: 7 })
          claimed.push(...jobIds(leases))
        }
      }
      await Promise.all(['w1', 'w2', 'w3', 'w4', 'w5', 'w6'].map(claimAll))
      expect(claimed.toSorted()).toEqual(jobIds(rows).toSorted())
    })

    test('of one job one gets it', async () => {
      const world = newWorld()
      for (let round = 0; round < 10; round += 1) {
        await put(queued(world))
        const leases = await Promise.all([1, 2, 3, 4].map((n) => claim(world, { owner: `w${n}` })))
        expect(leases.flat()).toHaveLength(1)
      }
    })
  })
}

function epochs(given: () => LeaseWorld): void {
  const { put, claim, claimOne, release } = tools(given)

  describe('epochs', () => {
    test('grow over all claims, of any job', async () => {
      const world = newWorld()
      await put(...Array.from({ length: 20 }, () => queued(world)))
      const seen: number[] = []
      while (seen.length < 20) {
        const batch = (await claim(world, { limit: 3 })).map(({ epoch }) => epoch)
        expect(Math.min(...batch)).toBeGreaterThan(Math.max(0, ...seen))
        seen.push(...batch)
      }
      expect(new Set(seen).size).toBe(20)
    })

    test('a job that is claimed again has a newer one', async () => {
      const world = newWorld()
      const row = queued(world)
      await put(row)
      const first = await claimOne(world)
      await release(first, 0)
      const second = await claimOne(world, { owner: 'w2' })
      expect(second.jobId).toBe(first.jobId)
      expect(second.epoch).toBeGreaterThan(first.epoch)
    })
  })
}

function renewing(given: () => LeaseWorld): void {
  const { put, remove, claim, claimOne, release, renew, expired, pass } = tools(given)

  describe('a renewal', () => {
    test('keeps what is held, for the whole time again', async () => {
      const world = newWorld()
      await put(queued(world))
      const { epoch } = await claimOne(world)
      await pass(leaseMs - minuteMs)
      expect(await renew([epoch])).toEqual({ held: [epoch], cancelRequested: [] })
      await pass(leaseMs - minuteMs)
      expect(await expired(world)).toEqual([])
      await pass(minuteMs)
      expect(await expired(world)).toHaveLength(1)
    })

    test('does not revive a lease that is over', async () => {
      const world = newWorld()
      await put(queued(world))
      const { epoch } = await claimOne(world)
      await pass(leaseMs)
      expect((await renew([epoch])).held).toEqual([])
      expect(await expired(world)).toHaveLength(1)
    })

    test('lets go what nobody asks for any more', async () => {
      const world = newWorld()
      await put(queued(world), queued(world))
      const [kept, dropped] = await claim(world)
      await pass(minuteMs)
      expect((await renew([kept!.epoch])).held).toEqual([kept!.epoch])
      await pass(leaseMs - minuteMs)
      expect(jobIds(await expired(world))).toEqual([dropped!.jobId])
    })

    test('does not keep what is given back, claimed by another, or unknown', async () => {
      const world = newWorld()
      await put(queued(world), queued(world))
      const [ended, lost] = await claim(world)
      await release(ended!, 1)
      await release(lost!, 0)
      const taken = await claimOne(world, { owner: 'w2' })
      expect(taken.jobId).toBe(lost!.jobId)
      const asked = [ended!.epoch, lost!.epoch, taken.epoch, 999_999_999]
      expect((await renew(asked)).held).toEqual([])
      expect((await renew([taken.epoch], 'w2')).held).toEqual([taken.epoch])
    })

    test('of nothing keeps nothing', async () => {
      const world = newWorld()
      await put(queued(world))
      await claimOne(world)
      expect(await renew([])).toEqual({ held: [], cancelRequested: [] })
    })

    test('tells which jobs somebody wants to cancel', async () => {
      const world = newWorld()
      const rows = [queued(world, { turn: 1 }), queued(world, { turn: 2 }), queued(world)]
      await put(...rows.map((row, turn) => ({ ...row, turn })))
      const [running, canceled, gone] = await claim(world)
      await put(
        queued(world, { jobId: running!.jobId, state: 'running', revision: 1 }),
        queued(world, { jobId: canceled!.jobId, cancelRequested: true, revision: 2 }),
      )
      await remove(gone!.jobId)
      const all = [running!.epoch, canceled!.epoch, gone!.epoch]
      const { held, cancelRequested } = await renew(all)
      expect(held.toSorted((a, b) => a - b)).toEqual(all)
      expect(cancelRequested).toEqual([canceled!.epoch])
    })
  })
}

function ending(given: () => LeaseWorld): void {
  const { put, remove, claim, claimOne, release, renew, expired, pass } = tools(given)

  describe('an ended lease', () => {
    test('frees the job when the queue has caught up with what its holder wrote', async () => {
      const world = newWorld()
      const row = queued(world)
      await put(row)
      const lease = await claimOne(world)
      await release(lease, 4)
      expect(await claim(world)).toEqual([])
      await put({ ...row, revision: 3 })
      expect(await claim(world)).toEqual([])
      await put({ ...row, revision: 4 })
      expect(await claimOne(world)).toMatchObject({ jobId: row.jobId })
    })

    test('does nothing for an older epoch', async () => {
      const world = newWorld()
      const row = queued(world)
      await put(row)
      const old = await claimOne(world)
      await release(old, 0)
      const current = await claimOne(world, { owner: 'w2' })
      await release(old, 9)
      expect((await renew([current.epoch], 'w2')).held).toEqual([current.epoch])
      await release(current, 0)
      expect(await claimOne(world)).toMatchObject({ jobId: row.jobId })
    })

    test('can be ended twice; the newest revision counts', async () => {
      const world = newWorld()
      const row = queued(world)
      await put(row)
      const lease = await claimOne(world)
      await release(lease, 5)
      await release(lease, 2)
      await put({ ...row, revision: 4 })
      expect(await claim(world)).toEqual([])
    })

    test('several end in one go, and none at all', async () => {
      const world = newWorld()
      await put(queued(world), queued(world), queued(world))
      const leases = await claim(world)
      await given().leases.release([])
      await given().leases.release(leases.map((lease) => ({ ...lease, revision: 0 })))
      expect(await claim(world)).toHaveLength(3)
    })

    test('is forgotten when its job has left the queue', async () => {
      const world = newWorld()
      const [gone, stays] = [queued(world, { turn: 1 }), queued(world, { turn: 2 })]
      await put(gone, stays)
      const [first, second] = await claim(world)
      await release(first!, 5)
      await release(second!, 5)
      await remove(gone.jobId)
      expect(await given().leases.forget(1_000)).toBeGreaterThanOrEqual(1)
      // As if it had never been held: only a forgotten lease lets a stale row pass.
      await put(gone)
      expect(jobIds(await claim(world))).toEqual([gone.jobId])
      await remove(gone.jobId)
      expect(await given().leases.forget(1_000)).toBe(0)
    })
  })

  describe('an expired lease', () => {
    test('is listed with its owner, the oldest first, as many as asked for', async () => {
      const world = newWorld()
      await put(queued(world, { turn: 1 }), queued(world, { turn: 2 }), queued(world, { turn: 3 }))
      const leases: Lease[] = []
      for (const laterMs of [4 * minuteMs, 2 * minuteMs, 0]) {
        leases.push(await claimOne(world, { limit: 1, leaseMs: leaseMs + laterMs }))
      }
      await pass(leaseMs - minuteMs)
      expect(await expired(world)).toEqual([])
      const oldestFirst = leases.toReversed().map((lease) => ({ ...lease, owner: 'w1' }))
      await pass(4 * minuteMs)
      expect(await expired(world)).toEqual(oldestFirst.slice(0, 2))
      await pass(minuteMs)
      expect(await expired(world)).toEqual(oldestFirst)
      expect(await given().leases.expired(1)).toHaveLength(1)
    })

    test.each([-2, 2])('is none to an asker whose clock is %i leases wrong', async (wrong) => {
      const world = newWorld()
      await put(queued(world))
      const { epoch } = await claimOne({ ...world, now: world.now + wrong * leaseMs })
      expect(await expired(world)).toEqual([])
      expect((await renew([epoch])).held).toEqual([epoch])
      await pass(leaseMs)
      expect(await expired(world)).toHaveLength(1)
    })

    test('is not claimed until somebody has ended it', async () => {
      const world = newWorld()
      await put(queued(world))
      const lease = await claimOne(world)
      await pass(2 * leaseMs)
      expect(await claim(world)).toEqual([])
      await release(lease, 0)
      expect(await claim(world)).toHaveLength(1)
    })

    test('is listed no more when it is ended', async () => {
      const world = newWorld()
      await put(queued(world))
      const lease = await claimOne(world)
      await release(lease, 0)
      await pass(2 * leaseMs)
      expect(await expired(world)).toEqual([])
    })
  })

  describe('a job that runs though its lease is ended', () => {
    test('is listed among the expired, without an owner', async () => {
      const world = newWorld()
      const row = queued(world)
      await put(row)
      const lease = await claimOne(world)
      await release(lease, 0)
      await put({ ...row, state: 'running', revision: 1 })
      expect(await expired(world)).toEqual([{ ...lease, owner: null }])
    })

    test('is not one whose end the queue has yet to see', async () => {
      const world = newWorld()
      const row = queued(world)
      await put(row)
      const lease = await claimOne(world)
      await put({ ...row, state: 'running', revision: 1 })
      await release(lease, 2)
      expect(await expired(world)).toEqual([])
    })
  })
}

function adopting(given: () => LeaseWorld): void {
  const { put, claim, claimOne, release, expired } = tools(given)

  describe('what another installation of the log left', () => {
    test('is over where it runs, and goes on with newer epochs', async () => {
      const world = newWorld()
      const running = queued(world, { state: 'running', revision: 4 })
      const waiting = queued(world, { revision: 7 })
      await put(running, waiting)
      const { jobId, orgId, jobType } = running
      const epochMax = (await newestEpoch()) + 1_000
      const lease = { jobId, orgId, jobType, epoch: epochMax - 3 }
      await given().leases.adopt([lease], epochMax)
      await given().leases.adopt([lease], epochMax)
      expect(await expired(world)).toEqual([{ ...lease, owner: null }])
      expect((await claimOne(world)).epoch).toBeGreaterThan(epochMax)
      await release(lease, 5)
      await put({ ...running, state: 'queued', revision: 5 })
      expect(jobIds(await claim(world))).toEqual([jobId])
    })

    test('changes no lease that is held, and takes no epoch back', async () => {
      const world = newWorld()
      await put(queued(world))
      const held = await claimOne(world)
      await given().leases.adopt([{ ...held, epoch: 0 }], 1)
      await given().leases.adopt([], 0)
      expect(await expired(world)).toEqual([])
      expect(await newestEpoch()).toBeGreaterThan(held.epoch)
    })
  })

  async function newestEpoch(): Promise<number> {
    const world = newWorld()
    await put(queued(world))
    return (await claimOne(world)).epoch
  }
}

function deadlines(given: () => LeaseWorld): void {
  const { put, remove } = tools(given)

  describe('overdue', () => {
    test('are live jobs whose deadline is over, the oldest first', async () => {
      const world = newWorld()
      const by = (seconds: number | null, more: Partial<JobQueueRow> = {}) =>
        queued(world, {
          deadlineAt: seconds === null ? null : iso(world.now + seconds * 1e3),
          ...more,
        })
      const [first, second, third] = [by(1), by(2, { state: 'running', revision: 1 }), by(3)]
      await put(third, by(null), first, second)
      const overdue = async (seconds: number, limit = 1_000) => {
        const found = await given().leases.overdue(world.now + seconds * 1_000, limit)
        const mine = jobIds([first, second, third])
        return found.filter((jobId) => mine.includes(jobId))
      }
      expect(await overdue(0.999)).toEqual([])
      expect(await overdue(2)).toEqual(jobIds([first, second]))
      expect(await overdue(9)).toEqual(jobIds([first, second, third]))
      expect(await overdue(9, 1)).toEqual([first.jobId])
      await remove(...jobIds([first, second, third]))
      expect(await overdue(9)).toEqual([])
    })
  })
}
