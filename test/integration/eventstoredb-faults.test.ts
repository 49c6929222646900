import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { NewEvent } from '../../domain/envelope.ts'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import {
  AppendTooBig,
  NO_STREAM,
  RevisionConflict,
  UnknownOutcome,
} from '../../domain/ports/event-store.ts'
import { EventStoreDbEventFeed } from '../../infra/eventstoredb/event-feed.ts'
import { EventStoreDbEventStore } from '../../infra/eventstoredb/event-store.ts'
import { newEvent, newEvents, newStream } from '../contracts/event-store.contract.ts'
import type { AppendFault } from '../support/eventstoredb-stand-in/faults.ts'
import { startStandIn, type StandIn } from '../support/eventstoredb-stand-in/stand-in.ts'
import { openEventStoreDb, type OpenEventStoreDb } from '../support/eventstoredb.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

// The adapter, and a server that has faults: the stand-in, which can be told to have them.

const appendMs = 1_000
const readMs = 2_000
const foreverMs = 600_000
const never = new AbortController().signal

let standIn: StandIn
let db: OpenEventStoreDb
let store: EventStoreDbEventStore
let opened: { readonly stop: () => unknown }[]

beforeEach(async () => {
  opened = []
  standIn = await begin()
  db = open(standIn.url)
  store = new EventStoreDbEventStore(db.connection, db.bell, db.streamPrefix)
})

afterEach(async () => {
  for (const { stop } of opened.reverse()) await stop()
})

async function begin(options: Parameters<typeof startStandIn>[0] = {}): Promise<StandIn> {
  const started = await startStandIn(options)
  opened.push({ stop: () => started.stop() })
  return started
}

function open(url: string): OpenEventStoreDb {
  const one = openEventStoreDb(url, { appendMs, readMs })
  opened.push({ stop: () => one.close() })
  return one
}

const newFeed = (): EventFeed => new EventStoreDbEventFeed(db.connection, db.bell, db.streamPrefix)

/** As the command pipeline does: the same ids and revision, until the outcome is known. */
async function appendSurely(stream: string, revision: number, events: NewEvent[]): Promise<number> {
  for (let left = 50; ; left -= 1) {
    try {
      return await store.append(stream, revision, events)
    } catch (error) {
      if (!(error instanceof UnknownOutcome) || left === 0) throw error
    }
  }
}

const idsOf = async (stream: string): Promise<string[]> =>
  (await store.read(stream, 0)).map(({ id }) => id)

describe('an append', () => {
  const faults: [AppendFault, number][] = [
    ['silence', 0],
    ['silence after commit', 2],
    ['busy', 0],
    ['not ready', 0],
    ['late answer', 2],
  ]

  test.each(faults)('that meets with %s is unknown, and repeated written once', async (...row) => {
    const [fault, written] = row
    const stream = newStream()
    const events = newEvents(2)
    standIn.faults.nextAppends(fault)
    const first = store.append(stream, NO_STREAM, events)
    await expect(first).rejects.toBeInstanceOf(UnknownOutcome)
    expect(await store.read(stream, 0)).toHaveLength(written)
    expect(await appendSurely(stream, NO_STREAM, events)).toBe(1)
    expect(await idsOf(stream)).toEqual(events.map(({ id }) => id))
  })

  test.each<AppendFault>(['timeout', 'timeout after commit'])(
    'that the server gives up, with a %s, is tried again and written once',
    async (fault) => {
      const stream = newStream()
      const events = newEvents(2)
      standIn.faults.nextAppends(fault, 2)
      expect(await store.append(stream, NO_STREAM, events)).toBe(1)
      expect(await idsOf(stream)).toEqual(events.map(({ id }) => id))
    },
  )

  test('that the server gives up, and then does not answer, is unknown in time', async () => {
    standIn.faults.nextAppends('timeout')
    standIn.faults.nextAppends('silence')
    const append = store.append(newStream(), NO_STREAM, newEvents(1))
    await expect(append).rejects.toBeInstanceOf(UnknownOutcome)
    expect(standIn.faults.appendsLeft).toBe(0)
  })

  test('of more than the server takes is too big, also where it takes little', async () => {
    standIn.faults.appendBytesMax = 4_000
    const text = 'a'.repeat(2_000)
    const stream = newStream()
    const append = store.append(stream, NO_STREAM, [newEvent({ text }), newEvent({ text })])
    await expect(append).rejects.toBeInstanceOf(AppendTooBig)
    expect(await store.append(stream, NO_STREAM, [newEvent({ text })])).toBe(0)
  })

  test('whose answer comes after it was given up changes nothing any more', async () => {
    const stream = newStream()
    standIn.faults.nextAppends('late answer')
    const [late] = await Promise.allSettled([
      store.append(stream, NO_STREAM, newEvents(1)),
      store.append(newStream(), NO_STREAM, newEvents(1)),
    ])
    expect(late).toMatchObject({ status: 'rejected', reason: expect.any(UnknownOutcome) })
    standIn.faults.releaseAnswers()
    expect(await store.append(stream, 0, newEvents(1))).toBe(1)
  })

  test('that is answered late keeps none of the others waiting', async () => {
    const patient = openEventStoreDb(standIn.url)
    opened.push({ stop: () => patient.close() })
    const patientStore = new EventStoreDbEventStore(
      patient.connection,
      patient.bell,
      patient.streamPrefix,
    )
    standIn.faults.nextAppends('late answer')
    const late = patientStore.append(newStream(), NO_STREAM, newEvents(1))
    const others = Array.from({ length: 50 }, () =>
      patientStore.append(newStream(), NO_STREAM, newEvents(1)),
    )
    expect(new Set(await Promise.all(others))).toEqual(new Set([0]))
    standIn.faults.releaseAnswers()
    expect(await late).toBe(0)
  })

  test('that conflicts after an unknown outcome says so', async () => {
    const stream = newStream()
    standIn.faults.nextAppends('silence')
    await store.append(stream, NO_STREAM, newEvents(1)).catch(() => undefined)
    await appendSurely(stream, NO_STREAM, newEvents(1))
    const late = store.append(stream, NO_STREAM, newEvents(1))
    await expect(late).rejects.toBeInstanceOf(RevisionConflict)
  })

  test('to a deleted stream fails for good', async () => {
    const stream = newStream()
    await standIn.log.delete(db.streamPrefix + stream)
    const append = store.append(stream, NO_STREAM, newEvents(1))
    await expect(append).rejects.toThrow('the stream was deleted')
    await expect(append).rejects.not.toBeInstanceOf(UnknownOutcome)
  })

  test('under way when the connection is closed ends at once', async () => {
    standIn.faults.nextAppends('silence')
    const append = store.append(newStream(), NO_STREAM, newEvents(1))
    await waitFor('the append to arrive', () => standIn.faults.appendsLeft === 0)
    db.connection.close()
    await expect(append).rejects.toBeInstanceOf(UnknownOutcome)
    await expect(store.read(newStream(), 0)).rejects.toThrow('closed')
  })
})

describe('two connections of one process', () => {
  test('do not end each other’s appends', async () => {
    const other = open(standIn.url)
    const otherStore = new EventStoreDbEventStore(other.connection, other.bell, other.streamPrefix)
    await otherStore.append(newStream(), NO_STREAM, newEvents(1))
    standIn.faults.nextAppends('late answer')
    const append = store.append(newStream(), NO_STREAM, newEvents(1))
    await waitFor('the append to be held', () => standIn.faults.lateAnswers === 1)
    await other.close()
    standIn.faults.releaseAnswers()
    expect(await append).toBe(0)
  })
})

describe('another leader', () => {
  let leader: StandIn

  beforeEach(async () => {
    leader = await begin({ log: standIn.log })
    standIn.faults.leader = { host: '127.0.0.1', port: leader.port }
  })

  test('is asked by reads and written to by repeated appends', async () => {
    const stream = newStream()
    expect(await store.read(stream, 0)).toEqual([])
    expect(await appendSurely(stream, NO_STREAM, newEvents(2))).toBe(1)
    expect(await store.read(stream, 0)).toHaveLength(2)
  })

  test('that comes while appends are under way loses none and writes none twice', async () => {
    standIn.faults.leader = null
    const streams = Array.from({ length: 20 }, newStream)
    const written = streams.map(async (stream, at) => {
      for (let revision = -1; revision < 9; revision += 1) {
        if (at === 0 && revision === 4) {
          standIn.faults.leader = { host: '127.0.0.1', port: leader.port }
        }
        await appendSurely(stream, revision, newEvents(1))
      }
    })
    await Promise.all(written)
    for (const stream of streams) expect(await store.read(stream, 0)).toHaveLength(10)
  })

  test('is looked for when the one that was it answers that it is not ready', async () => {
    const hosts = `127.0.0.1:${standIn.port},127.0.0.1:${leader.port}`
    const cluster = open(`esdb://${hosts}?tls=false`)
    store = new EventStoreDbEventStore(cluster.connection, cluster.bell, db.streamPrefix)
    standIn.faults.leader = null
    leader.faults.leader = { host: '127.0.0.1', port: standIn.port }
    expect(await store.append(newStream(), NO_STREAM, newEvents(1))).toBe(0)
    leader.faults.leader = null
    standIn.faults.nextAppends('not ready', 100)
    expect(await appendSurely(newStream(), NO_STREAM, newEvents(1))).toBe(0)
    expect(standIn.faults.appendsLeft).toBeGreaterThan(0)
  })

  test('of a cluster is found by gossip', async () => {
    const hosts = `127.0.0.1:${standIn.port},127.0.0.1:${leader.port}`
    const cluster = open(`esdb://${hosts}?tls=false`)
    const clusterStore = new EventStoreDbEventStore(
      cluster.connection,
      cluster.bell,
      db.streamPrefix,
    )
    const stream = newStream()
    expect(await clusterStore.append(stream, NO_STREAM, newEvents(1))).toBe(0)
    standIn.faults.leader = null
    leader.faults.leader = { host: '127.0.0.1', port: standIn.port }
    expect(await clusterStore.read(stream, 0)).toHaveLength(1)
  })

  test('that nobody knows makes appends unknown and reads fail in time', async () => {
    leader.faults.leader = { host: '127.0.0.1', port: standIn.port }
    const append = store.append(newStream(), NO_STREAM, newEvents(1))
    await expect(append).rejects.toBeInstanceOf(UnknownOutcome)
    await expect(store.read(newStream(), 0)).rejects.toThrow()
    leader.faults.leader = null
    expect(await appendSurely(newStream(), NO_STREAM, newEvents(1))).toBe(0)
  })
})

describe('the user of the connection string', () => {
  const isRefused = async (asked: Promise<unknown>, why: string): Promise<void> => {
    await expect(asked).rejects.toBeInstanceOf(EngineUnavailable)
    await expect(asked).rejects.toThrow(why)
  }

  test('whom the server does not know is said to be refused, and may be known later', async () => {
    standIn.faults.user = 'unknown'
    const stream = newStream()
    const events = newEvents(1)
    await isRefused(store.append(stream, NO_STREAM, events), 'does not know the user')
    await isRefused(store.read(stream, 0), 'does not know the user')
    await isRefused(newFeed().readPage('0', 10), 'does not know the user')
    standIn.faults.user = 'admin'
    expect(await store.append(stream, NO_STREAM, events)).toBe(0)
  })

  test('who may do nothing is told so, and what was refused is not written', async () => {
    standIn.faults.user = 'anonymous'
    const stream = newStream()
    const append = store.append(stream, NO_STREAM, newEvents(1))
    await isRefused(append, 'may not write')
    await expect(append).rejects.not.toBeInstanceOf(UnknownOutcome)
    await isRefused(store.read(stream, 0), 'may not read')
    standIn.faults.user = 'admin'
    expect(await store.read(stream, 0)).toEqual([])
  })

  test('who is no admin may use streams, and is told who may read the log', async () => {
    standIn.faults.user = 'no admin'
    const stream = newStream()
    expect(await store.append(stream, NO_STREAM, newEvents(1))).toBe(0)
    expect(await store.read(stream, 0)).toHaveLength(1)
    await isRefused(newFeed().readPage('0', 10), '$admins')
    await isRefused(newFeed().head(), '$admins')
  })
})

describe('a stream that the server cannot read', () => {
  test('takes nothing else along, and is read again when it can be', async () => {
    const broken = newStream()
    standIn.faults.brokenStream = db.streamPrefix + broken
    const stream = newStream()
    standIn.faults.nextAppends('late answer')
    const append = store.append(stream, NO_STREAM, newEvents(1))
    await waitFor('the append to be held', () => standIn.faults.lateAnswers === 1)
    await expect(store.read(broken, 0)).rejects.toBeInstanceOf(EngineUnavailable)
    standIn.faults.releaseAnswers()
    expect(await append).toBe(0)
    standIn.faults.brokenStream = null
    expect(await store.read(broken, 0)).toEqual([])
  })
})

describe('a server that is away', () => {
  test('makes appends unknown and reads fail in time, and is found when it is back', async () => {
    const stream = newStream()
    await store.append(stream, NO_STREAM, newEvents(1))
    await standIn.stop()
    const append = store.append(stream, 0, newEvents(1))
    await expect(append).rejects.toBeInstanceOf(UnknownOutcome)
    await expect(store.read(stream, 0)).rejects.toThrow()
    await begin({ port: standIn.port, log: standIn.log })
    expect(await appendSurely(stream, 0, newEvents(1))).toBe(1)
    expect(await store.read(stream, 0)).toHaveLength(2)
  })

  test('that takes longer to be connected to than an append may is reached', async () => {
    const proxy = await startFlakyProxy(`http://127.0.0.1:${standIn.port}`)
    opened.push({ stop: () => proxy.close() })
    // Two answers, of the connection and of the append, take more than an append may.
    proxy.delayAnswers(0.6 * appendMs)
    const slow = open(proxy.url.replace('http', 'esdb') + '?tls=false')
    store = new EventStoreDbEventStore(slow.connection, slow.bell, slow.streamPrefix)
    expect(await appendSurely(newStream(), NO_STREAM, newEvents(1))).toBe(0)
  })

  test('that never answers reads makes them fail in time', async () => {
    standIn.faults.areReadsSilent = true
    await expect(store.read(newStream(), 0)).rejects.toThrow()
    await expect(newFeed().readPage('0', 10)).rejects.toThrow()
    standIn.faults.areReadsSilent = false
    expect(await store.read(newStream(), 0)).toEqual([])
  })

  test('in the middle of everything loses nothing and doubles nothing', async () => {
    const streams = Array.from({ length: 10 }, newStream)
    const ids = new Map<string, string[]>()
    const done = new AbortController()
    const writers = streams.map(async (stream) => {
      for (let revision = -1; revision < 29; revision += 1) {
        const event = newEvent()
        ids.set(stream, [...(ids.get(stream) ?? []), event.id])
        await appendSurely(stream, revision, [event])
      }
    })
    const breaking = (async () => {
      while (!done.signal.aborted) {
        const length = standIn.log.visible
        standIn.resetConnections()
        const hasMoved = () => done.signal.aborted || standIn.log.visible > length + 5
        await waitFor('the log to grow', hasMoved)
      }
    })()
    await Promise.all(writers)
    done.abort()
    await breaking
    for (const stream of streams) expect(await idsOf(stream)).toEqual(ids.get(stream))
  })
})

describe('the feed', () => {
  test('loses nothing when subscriptions are dropped and connections break', async () => {
    const feed = newFeed()
    await feed.wait(20, never)
    const streams = Array.from({ length: 5 }, newStream)
    const writers = streams.map(async (stream) => {
      for (let revision = -1; revision < 39; revision += 1) {
        await appendSurely(stream, revision, newEvents(1))
      }
    })
    const next = new Map<string, number>()
    let after = feed.start
    for (let count = 0; count < 200;) {
      const page = await feed.readPage(after, 7)
      for (const { stream, revision } of page.events) {
        expect(revision).toBe(next.get(stream) ?? 0)
        next.set(stream, revision + 1)
      }
      count += page.events.length
      after = page.position
      if (count % 3 === 0) standIn.dropSubscriptions()
      if (count % 50 === 7) standIn.resetConnections()
      if (page.events.length === 0) await feed.wait(100, never)
    }
    await Promise.all(writers)
    expect((await feed.readPage(after, 10)).events).toEqual([])
  })

  test('hears again after its subscription was dropped', async () => {
    const feed = newFeed()
    await feed.wait(20, never)
    await waitFor('the subscription', () => standIn.subscriptions() === 1)
    standIn.dropSubscriptions()
    await waitFor('the next subscription', () => standIn.subscriptions() === 1)
    const head = await feed.head()
    await feed.readPage(head, 10)
    await feed.wait(20, never)
    await feed.readPage(head, 10)
    const woken = feed.wait(foreverMs, never)
    await store.append(newStream(), NO_STREAM, newEvents(1))
    await woken
  })

  test('of several readers has one subscription', async () => {
    const feeds = [newFeed(), newFeed(), newFeed()]
    await Promise.all(feeds.map((feed) => feed.wait(20, never)))
    await waitFor('the subscription', () => standIn.subscriptions() === 1)
    const woken = feeds.map((feed) => feed.wait(foreverMs, never))
    await store.append(newStream(), NO_STREAM, newEvents(1))
    await Promise.all(woken)
    expect(standIn.subscriptions()).toBe(1)
  })
})

describe('what a process hears of streams', () => {
  const revisionsOf = (stream: string, from: number): readonly number[] | null =>
    store.recent(stream, from)?.map(({ revision }) => revision) ?? null

  async function listen(): Promise<void> {
    store.recent(newStream(), 0)
    await waitFor('the subscription', () => standIn.subscriptions() === 1)
  }

  test('is what was appended since it listens, as it is read', async () => {
    const [before, since] = [newStream(), newStream()]
    await store.append(before, NO_STREAM, newEvents(3))
    await listen()
    await store.append(since, NO_STREAM, newEvents(3))
    await store.append(before, 2, newEvents(1))
    await waitFor('the news', () => revisionsOf(before, 3)?.length === 1)
    expect(store.recent(since, 0)).toEqual(await store.read(since, 0))
    expect(store.recent(since, 2)).toEqual(await store.read(since, 2))
    expect(revisionsOf(since, 3)).toEqual([])
    expect(revisionsOf(since, 4)).toEqual([])
    expect(revisionsOf(newStream(), 0)).toBeNull()
    expect(revisionsOf(before, 2)).toBeNull()
    expect(revisionsOf(before, 3)).toEqual([3])
  })

  test('is nothing of the time in which nobody listened', async () => {
    const stream = newStream()
    await listen()
    await store.append(stream, NO_STREAM, newEvents(2))
    await waitFor('the news', () => revisionsOf(stream, 0)?.length === 2)
    standIn.dropSubscriptions()
    await appendSurely(stream, 1, newEvents(1))
    await waitFor('the next subscription', () => standIn.subscriptions() === 1)
    await appendSurely(stream, 2, newEvents(1))
    await waitFor('the news', () => revisionsOf(stream, 3)?.length === 1)
    const heard = store.recent(stream, 3)
    expect(heard).toEqual(await store.read(stream, 3))
    const older = store.recent(stream, 0)
    expect(older === null || older.length === 4).toBe(true)
  })

  test('is the end of a stream that is longer than is kept', async () => {
    const stream = newStream()
    await listen()
    const large = { text: 'x'.repeat(300_000) }
    for (let revision = NO_STREAM; revision < 9; revision += 1) {
      await store.append(stream, revision, newEvents(1, large))
    }
    await waitFor('the news', () => revisionsOf(stream, 9)?.length === 1)
    expect(revisionsOf(stream, 0)).toBeNull()
    expect(revisionsOf(stream, 9)).toEqual([9])
    await store.append(stream, 9, newEvents(1, { text: 'x'.repeat(900_000) }))
    await store.append(stream, 10, newEvents(1))
    await waitFor('the news', () => revisionsOf(stream, 11)?.length === 1)
    expect(revisionsOf(stream, 10)).toBeNull()
    expect(revisionsOf(stream, 11)).toEqual([11])
  })
})
