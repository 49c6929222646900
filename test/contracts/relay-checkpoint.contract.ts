import { beforeEach, expect, test } from '@jest/globals'
import type { RelayCheckpoint, RelayStand } from '../../domain/ports/relay-checkpoint.ts'

// So long that what a test takes itself does not matter.
const leaseMs = 3_600_000
const marginMs = 60_000
const nowhere: RelayStand = { position: null, mark: null }
const somewhere: RelayStand = { position: '12:7', mark: 'a mark' }

export type RelayCheckpointWorld = {
  /** One that was never moved. */
  readonly checkpoint: RelayCheckpoint
  /** Lets so much time go by on the clock of the checkpoint. */
  readonly pass: (ms: number) => Promise<void>
}

/** What every checkpoint of the relay promises. */
export function relayCheckpointContract(open: () => Promise<RelayCheckpointWorld>): void {
  let given: RelayCheckpoint
  let pass: RelayCheckpointWorld['pass']

  beforeEach(async () => {
    ;({ checkpoint: given, pass } = await open())
  })

  const acquire = async (owner = 'a') => {
    const lease = await given.acquire({ owner, leaseMs })
    if (!lease) throw new Error('the lease is held')
    return lease
  }
  const move = (epoch: number, from: RelayStand, to: RelayStand) =>
    given.move({ epoch, from: from.position, to, leaseMs })

  test('a new checkpoint stands before the first event', async () => {
    expect(await given.stand()).toEqual(nowhere)
    expect((await acquire()).stand).toEqual(nowhere)
  })

  test('one of many who want the lease gets it', async () => {
    const claim = (owner: number) => given.acquire({ owner: `${owner}`, leaseMs })
    const leases = await Promise.all(Array.from({ length: 10 }, (_, owner) => claim(owner)))
    expect(leases.filter((lease) => lease !== null)).toHaveLength(1)
  })

  test('the lease is free when it is over or released, in an epoch that grows', async () => {
    const first = await acquire()
    await pass(leaseMs - marginMs)
    expect(await given.acquire({ owner: 'b', leaseMs })).toBeNull()
    await pass(marginMs)
    const second = await acquire()
    await given.release(second.epoch)
    const third = await acquire()
    expect(second.epoch).toBeGreaterThan(first.epoch)
    expect(third.epoch).toBeGreaterThan(second.epoch)
  })

  test('a move is found by everybody, and extends the lease', async () => {
    const { epoch } = await acquire()
    await pass(leaseMs / 2)
    expect(await move(epoch, nowhere, somewhere)).toBe(true)
    expect(await given.stand()).toEqual(somewhere)
    await pass(leaseMs - marginMs)
    expect(await given.acquire({ owner: 'b', leaseMs })).toBeNull()
    await pass(marginMs)
    expect((await acquire()).stand).toEqual(somewhere)
  })

  test('it moves from where the holder knows it to be, and may go back to the start', async () => {
    const { epoch } = await acquire()
    expect(await move(epoch, somewhere, { position: '13', mark: null })).toBe(false)
    expect(await move(epoch, nowhere, somewhere)).toBe(true)
    expect(await move(epoch, nowhere, { position: '13', mark: null })).toBe(false)
    expect(await given.stand()).toEqual(somewhere)
    expect(await move(epoch, somewhere, somewhere)).toBe(true)
    expect(await move(epoch, somewhere, nowhere)).toBe(true)
    expect(await given.stand()).toEqual(nowhere)
  })

  test('a holder that was replaced moves nothing and ends no lease', async () => {
    const old = await acquire()
    await pass(leaseMs)
    const current = await acquire('b')
    expect(await move(old.epoch, nowhere, somewhere)).toBe(false)
    await given.release(old.epoch)
    expect(await given.stand()).toEqual(nowhere)
    expect(await given.acquire({ owner: 'c', leaseMs })).toBeNull()
    expect(await move(current.epoch, nowhere, somewhere)).toBe(true)
  })

  test('a lease that is over still moves until somebody else takes it', async () => {
    const { epoch } = await acquire()
    await pass(9 * leaseMs)
    expect(await move(epoch, nowhere, somewhere)).toBe(true)
  })
}
