import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import {
  AccessDeniedError,
  BACKWARDS,
  END,
  EventStoreDBClient,
  excludeSystemEvents,
  jsonEvent,
  NO_STREAM,
  NotLeaderError,
  START,
  StreamDeletedError,
  StreamNotFoundError,
  streamNameFilter,
  WrongExpectedVersionError,
  type AllStreamSubscription,
  type Position,
} from '@eventstore/db-client'
import { startStandIn, type StandIn } from '../support/eventstoredb-stand-in/stand-in.ts'
import { waitFor } from '../support/wait-for.ts'

// The stand-in, judged by the client package itself: it must find in it the server that it knows.

let standIn: StandIn
let clients: EventStoreDBClient[]

beforeEach(async () => {
  clients = []
  standIn = await startStandIn()
})

afterEach(async () => {
  for (const client of clients) await close(client)
  await standIn.stop()
})

function open(url = standIn.url): EventStoreDBClient {
  const client = EventStoreDBClient.connectionString(url)
  clients.push(client)
  return client
}

/** `dispose` ends the calls and leaves the connection open. */
async function close(client: EventStoreDBClient): Promise<void> {
  await client.dispose()
  const { getChannel } = client as unknown as {
    getChannel: () => Promise<{ close: () => void }>
  }
  const channel = await getChannel()
  channel.close()
}

const events = (count: number, type = 'Tested') =>
  Array.from({ length: count }, (_, n) => {
    return jsonEvent({ id: randomUUID(), type, data: { n }, metadata: { by: 'test' } })
  })

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of stream) all.push(one)
  return all
}

/** An append by its own call, which the package makes when credentials are given. */
const alone = { credentials: { username: 'admin', password: 'changeit' } }

describe.each([
  ['together with others', {}],
  ['in a call of its own', alone],
])('an append %s', (_, options) => {
  test('is numbered, placed in the log and read back', async () => {
    const client = open()
    const written = events(3)
    const first = await client.appendToStream('a-1', written, {
      ...{ expectedRevision: NO_STREAM, ...options },
    })
    expect(first).toMatchObject({ success: true, nextExpectedRevision: 2n })
    const read = await collect(client.readStream('a-1'))
    expect(read.map(({ event }) => event)).toMatchObject(
      written.map(({ id, type, data, metadata }, n) => {
        return { id, type, data, metadata, revision: BigInt(n), streamId: 'a-1', isJson: true }
      }),
    )
    expect(read.at(-1)?.event?.position).toEqual(first.position)
  })

  test('that expects another revision is refused and told the right one', async () => {
    const client = open()
    await client.appendToStream('a-1', events(2), options)
    const late = client.appendToStream('a-1', events(1), { expectedRevision: 0n, ...options })
    await expect(late).rejects.toBeInstanceOf(WrongExpectedVersionError)
    await expect(late).rejects.toMatchObject({ actualVersion: 1n, expectedVersion: 0n })
    const early = client.appendToStream('a-2', events(1), { expectedRevision: 3n, ...options })
    await expect(early).rejects.toMatchObject({ actualVersion: NO_STREAM })
  })

  test('that was made before has its first result', async () => {
    const client = open()
    const same = events(2)
    await client.appendToStream('a-1', same, { expectedRevision: NO_STREAM, ...options })
    await client.appendToStream('a-1', events(1), options)
    for (const expectedRevision of [NO_STREAM, 'any'] as const) {
      const again = await client.appendToStream('a-1', same, { expectedRevision, ...options })
      expect(again).toMatchObject({ success: true, nextExpectedRevision: 1n })
    }
    expect(await collect(client.readStream('a-1'))).toHaveLength(3)
  })

  test('to a stream that was deleted for good is refused', async () => {
    const client = open()
    await client.appendToStream('a-1', events(1), options)
    await client.tombstoneStream('a-1')
    const append = client.appendToStream('a-1', events(1), options)
    await expect(append).rejects.toBeInstanceOf(StreamDeletedError)
    await expect(collect(client.readStream('a-1'))).rejects.toBeInstanceOf(StreamDeletedError)
  })

  test('of somebody who may not write is refused', async () => {
    const client = open()
    standIn.faults.user = 'anonymous'
    const append = client.appendToStream('a-1', events(1), options)
    await expect(append).rejects.toBeInstanceOf(AccessDeniedError)
    await expect(collect(client.readAll())).rejects.toBeInstanceOf(AccessDeniedError)
    standIn.faults.user = 'admin'
    await expect(collect(client.readStream('a-1'))).rejects.toBeInstanceOf(StreamNotFoundError)
  })

  test('that wants the leader is sent there', async () => {
    const leader = await startStandIn({ log: standIn.log })
    try {
      standIn.faults.leader = { host: '127.0.0.1', port: leader.port }
      const client = open()
      const append = () =>
        client.appendToStream('a-1', events(1), { requiresLeader: true, ...options })
      await expect(append()).rejects.toBeInstanceOf(NotLeaderError)
      expect(await append()).toMatchObject({ success: true })
    } finally {
      await close(clients.pop() ?? open())
      await leader.stop()
    }
  })
})

describe('a read', () => {
  test('of a stream that is not there says so', async () => {
    const read = collect(open().readStream('nowhere'))
    await expect(read).rejects.toBeInstanceOf(StreamNotFoundError)
  })

  test('of a stream goes both ways, from any place, as far as asked', async () => {
    const client = open()
    await client.appendToStream('a-1', events(10))
    const revisions = async (options: Parameters<typeof client.readStream>[1]) =>
      (await collect(client.readStream('a-1', options))).map(({ event }) => Number(event?.revision))
    expect(await revisions({ fromRevision: 7n })).toEqual([7, 8, 9])
    expect(await revisions({ fromRevision: 2n, maxCount: 2 })).toEqual([2, 3])
    const direction = BACKWARDS
    expect(await revisions({ fromRevision: END, direction, maxCount: 2 })).toEqual([9, 8])
    expect(await revisions({ fromRevision: 1n, direction })).toEqual([1, 0])
  })

  test('of $all has everything in the order of growing positions with gaps', async () => {
    const client = open()
    for (let n = 0; n < 10; n += 1) await client.appendToStream(`a-${n}`, events(2))
    const all = await collect(client.readAll())
    const positions = all.map(({ event }) => event?.position.commit ?? -1n)
    expect(positions).toEqual([...positions].sort((a, b) => Number(a - b)))
    expect(all.some(({ event }) => event?.streamId.startsWith('$$a-'))).toBe(true)
    const middle = all[9]?.event?.position as Position
    const rest = await collect(client.readAll({ fromPosition: middle }))
    expect(rest).toEqual(all.slice(9))
    const before = await collect(client.readAll({ fromPosition: middle, direction: BACKWARDS }))
    expect(before).toEqual(all.slice(0, 9).reverse())
  })
})

describe('a subscription', () => {
  test('to a stream gives what is there, catches up, and gives what comes', async () => {
    const client = open()
    await client.appendToStream('a-1', events(2))
    const seen: bigint[] = []
    const subscription = client.subscribeToStream('a-1', { fromRevision: START })
    subscription.on('data', ({ event }) => seen.push(event?.revision ?? -1n))
    await new Promise((resolve) => subscription.once('caughtUp', resolve))
    expect(seen).toEqual([0n, 1n])
    await client.appendToStream('a-2', events(1))
    await client.appendToStream('a-1', events(1))
    await waitFor('the third event', () => seen.length === 3)
    await subscription.unsubscribe()
  })

  test('to $all begins after its position and passes over what the filter excludes', async () => {
    const client = open()
    await client.appendToStream('a-1', events(3))
    await client.appendToStream('b-1', events(3))
    const [, , third] = await collect(client.readStream('a-1'))
    const fromPosition = third?.event?.position as Position
    const seen = gather(client.subscribeToAll({ fromPosition, filter: excludeSystemEvents() }))
    await client.appendToStream('a-1', events(9))
    const expected = [...Array<string>(3).fill('b-1'), ...Array<string>(9).fill('a-1')]
    await waitFor('all of them', () => seen.streams.length === expected.length)
    expect(seen.streams).toEqual(expected)
    await seen.subscription.unsubscribe()
  })

  test('with a filter gets checkpoints when nothing passes', async () => {
    const client = open()
    const checkpoints: Position[] = []
    const filter = streamNameFilter({
      prefixes: ['wanted-'],
      checkpointReached: (_, position) => void checkpoints.push(position),
    })
    const seen = gather(client.subscribeToAll({ fromPosition: START, filter }))
    for (let n = 0; n < 10; n += 1) await client.appendToStream(`a-${n}`, events(10))
    await waitFor('two checkpoints', () => checkpoints.length >= 2)
    await client.appendToStream('wanted-1', events(1))
    await waitFor('the event', () => seen.streams.length === 1)
    await seen.subscription.unsubscribe()
  })

  test('to what comes is taken by any node, also where the leader is wanted', async () => {
    const client = open()
    standIn.faults.leader = { host: '127.0.0.1', port: 1 }
    const seen = gather(client.subscribeToAll({ fromPosition: END, requiresLeader: true }))
    await new Promise((resolve) => seen.subscription.once('confirmation', resolve))
    const read = collect(client.readAll({ requiresLeader: true }))
    await expect(read).rejects.toBeInstanceOf(NotLeaderError)
    await seen.subscription.unsubscribe()
  })

  test('that is dropped ends with an error', async () => {
    const subscription = open().subscribeToAll({ fromPosition: END })
    const ended = new Promise((resolve) => subscription.once('error', resolve))
    subscription.resume()
    await new Promise((resolve) => subscription.once('confirmation', resolve))
    standIn.dropSubscriptions()
    expect(await ended).toBeInstanceOf(Error)
  })
})

function gather(subscription: AllStreamSubscription) {
  const streams: string[] = []
  subscription.on('data', ({ event }) => streams.push(event?.streamId ?? ''))
  return { subscription, streams }
}

describe('a log in a file', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'weir-stand-in-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  test('is there again after an end, without what was torn off', async () => {
    const file = join(folder, 'events.ndjson')
    const first = await startStandIn({ file })
    const written = events(3)
    await open(first.url).appendToStream('a-1', written, { expectedRevision: NO_STREAM })
    const before = await collect(open(first.url).readAll())
    for (const client of clients.splice(0)) await close(client)
    await first.stop()
    await appendFile(file, '{"stream":"torn","revisi')
    const second = await startStandIn({ file })
    const client = open(second.url)
    expect(await collect(client.readAll())).toEqual(before)
    await client.appendToStream('a-1', written, { expectedRevision: NO_STREAM })
    expect(await collect(client.readStream('a-1'))).toHaveLength(3)
    for (const one of clients.splice(0)) await close(one)
    await second.stop()
  })
})
