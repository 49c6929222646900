import { beforeEach, expect, test } from '@jest/globals'
import type { RelayCheckpoint, RelayStand } from '../../domain/ports/relay-checkpoint.ts'

const leaseMs = 1_000
const nowhere: RelayStand = { position: null, mark: null }
const somewhere: RelayStand = { position: '12:7', mark: 'a mark' }

/** What every checkpoint of the relay promises. `open` gives one that was never moved. */
export function relayCheckpointContract(open: () => Promise<RelayCheckpoint>): void {
  let given: RelayCheckpoint

  beforeEach(async () => {
    given = await open()
  })

  const acquire = async (now: number, owner = 'a') => {
    const lease = await given.acquire({ owner, now, leaseMs })
    if (!lease) throw new Error('the lease is held')
    return lease
  }
  const move = (epoch: number, from: RelayStand, to: RelayStand, now = 0) =>
    given.move({ epoch, from: from.position, to, now, leaseMs })

  test('a new checkpoint stands before the first event', async () => {
    expect(await given.stand()).toEqual(nowhere)
    expect((await acquire(0)).stand).toEqual(nowhere)
  })

  test('one of many who want the lease gets it', async () => {
    const claim = (owner: number) => given.acquire({ owner: `${owner}`, now: 0, leaseMs })
    const leases = await Promise.all(Array.from({ length: 10 }, (_, owner) => claim(owner)))
    expect(leases.filter((lease) => lease !== null)).toHaveLength(1)
  })

  test('the lease is free when it is over or released, in an epoch that grows', async () => {
    const first = await acquire(0)
    expect(await given.acquire({ owner: 'b', now: leaseMs - 1, leaseMs })).toBeNull()
    const second = await acquire(leaseMs)
    await given.release(second.epoch)
    const third = await acquire(leaseMs)
    expect(second.epoch).toBeGreaterThan(first.epoch)
    expect(third.epoch).toBeGreaterThan(second.epoch)
  })

  test('a move is found by everybody, and extends the lease', async () => {
    const { epoch } = await acquire(0)
    expect(await move(epoch, nowhere, somewhere, 500)).toBe(true)
    expect(await given.stand()).toEqual(somewhere)
    expect(await given.acquire({ owner: 'b', now: leaseMs, leaseMs })).toBeNull()
    expect((await acquire(leaseMs + 500)).stand).toEqual(somewhere)
  })

  test('it moves from where the holder knows it to be, and may go back to the start', async () => {
    const { epoch } = await acquire(0)
    expect(await move(epoch, somewhere, { position: '13', mark: null })).toBe(false)
    expect(await move(epoch, nowhere, somewhere)).toBe(true)
    expect(await move(epoch, nowhere, { position: '13', mark: null })).toBe(false)
    expect(await given.stand()).toEqual(somewhere)
    expect(await move(epoch, somewhere, somewhere)).toBe(true)
    expect(await move(epoch, somewhere, nowhere)).toBe(true)
    expect(await given.stand()).toEqual(nowhere)
  })

  test('a holder that was replaced moves nothing and ends no lease', async () => {
    const old = await acquire(0)
    const current = await acquire(leaseMs, 'b')
    expect(await move(old.epoch, nowhere, somewhere, leaseMs)).toBe(false)
    await given.release(old.epoch)
    expect(await given.stand()).toEqual(nowhere)
    expect(await given.acquire({ owner: 'c', now: leaseMs + 1, leaseMs })).toBeNull()
    expect(await move(current.epoch, nowhere, somewhere, leaseMs)).toBe(true)
  })

  test('a lease that is over still moves until somebody else takes it', async () => {
    const { epoch } = await acquire(0)
    expect(await move(epoch, nowhere, somewhere, 9 * leaseMs)).toBe(true)
  })
}
