import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { isoTime } from '../../domain/ports/clock.ts'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import { NO_STREAM } from '../../domain/ports/event-store.ts'
import { EventStoreDbBell } from '../../infra/eventstoredb/bell.ts'
import { EventStoreDbConnection } from '../../infra/eventstoredb/connection.ts'
import { EventStoreDbEventFeed } from '../../infra/eventstoredb/event-feed.ts'
import { EventStoreDbEventStore } from '../../infra/eventstoredb/event-store.ts'
import { readConnectionString } from '../../infra/eventstoredb/settings.ts'
import { newEvents, newStream } from '../contracts/event-store.contract.ts'
import { startStandIn, type StandIn } from '../support/eventstoredb-stand-in/stand-in.ts'
import type { ProposedEvent } from '../support/eventstoredb-stand-in/log.ts'
import { testCertificate, testCertificateKey } from '../support/test-certificate.ts'

let standIn: StandIn
let connections: EventStoreDbConnection[]

beforeEach(() => {
  connections = []
})

afterEach(async () => {
  for (const connection of connections) connection.close()
  await standIn.stop()
})

function open(url = standIn.url): EventStoreDbConnection {
  const connection = new EventStoreDbConnection(url, 'weir-test', { readMs: 2_000 })
  connections.push(connection)
  return connection
}

function storeOf(connection: EventStoreDbConnection): EventStoreDbEventStore {
  return new EventStoreDbEventStore(connection, new EventStoreDbBell(connection))
}

describe('a log that weir shares with other programs', () => {
  let store: EventStoreDbEventStore
  let feed: EventStoreDbEventFeed
  let bell: EventStoreDbBell

  beforeEach(async () => {
    standIn = await startStandIn()
    const connection = open()
    bell = new EventStoreDbBell(connection)
    store = new EventStoreDbEventStore(connection, bell)
    feed = new EventStoreDbEventFeed(connection, bell)
  })

  afterEach(() => bell.close())

  const foreign = (meta: string, isJson = true): ProposedEvent => {
    const id = `00000000-0000-4000-8000-${String(standIn.log.visible).padStart(12, '0')}`
    return { id, type: 'Other', isJson, data: Buffer.from('{}'), meta: Buffer.from(meta) }
  }

  async function writeForeign(count: number): Promise<void> {
    const ours = JSON.stringify(newEvents(1)[0]?.meta)
    const metas = ['', '{}', '{"orgId":', '{"orgId":1,"schema":1}', '[1]']
    for (let n = 0; n < count; n += 1) {
      const meta = metas[n % metas.length] ?? ''
      await standIn.log.append(`others-${n}`, 'any', [foreign(meta), foreign(ours, false)])
    }
  }

  test('is read without what they and the system wrote, however much that is', async () => {
    const streams = Array.from({ length: 4 }, newStream)
    for (const stream of streams) {
      await writeForeign(40)
      await store.append(stream, NO_STREAM, newEvents(2))
    }
    await writeForeign(40)
    for (const limit of [1, 3, 100]) {
      const seen: string[] = []
      for (let after = feed.start; ;) {
        const page = await feed.readPage(after, limit)
        if (page.events.length === 0) {
          expect(page.position).toBe(after)
          break
        }
        seen.push(...page.events.map(({ stream }) => stream))
        after = page.position
      }
      expect(seen).toEqual(streams.flatMap((stream) => [stream, stream]))
    }
    const last = await store.read(streams[3] ?? '', 1)
    expect(await feed.head()).toBe(last[0]?.position)
  })

  test('is that of each of two weirs without what the other one writes', async () => {
    const ours = newStream()
    const theirs = newStream()
    const connection = open()
    const otherBell = new EventStoreDbBell(connection, 'staging~')
    const others = new EventStoreDbEventStore(connection, otherBell, 'staging~')
    await others.append(theirs, NO_STREAM, newEvents(2))
    await store.append(ours, NO_STREAM, newEvents(1))
    await others.append(ours, NO_STREAM, newEvents(2))
    const page = await feed.readPage(feed.start, 10)
    expect(page.events).toEqual(await store.read(ours, 0))
    expect(await feed.head()).toBe(page.position)
    const otherFeed = new EventStoreDbEventFeed(connection, otherBell, 'staging~')
    const { events } = await otherFeed.readPage(otherFeed.start, 10)
    expect(events.map(({ stream }) => stream)).toEqual([theirs, theirs, ours, ours])
  })

  test('of another server is not read from the middle of an event', async () => {
    await store.append(newStream(), NO_STREAM, newEvents(3))
    const [first] = (await feed.readPage(feed.start, 10)).events
    const elsewhere = String(BigInt(first?.position ?? 0) + 1n)
    const page = feed.readPage(elsewhere, 10)
    await expect(page).rejects.toBeInstanceOf(EngineUnavailable)
    await expect(page).rejects.toHaveProperty(
      'cause.details',
      expect.stringContaining('InvalidPosition'),
    )
  })

  test('of others only is empty', async () => {
    await writeForeign(150)
    expect(await feed.readPage(feed.start, 10)).toEqual({ events: [], position: feed.start })
    expect(await feed.head()).toBe(feed.start)
  })

  test('is not waited for in vain: what others write rings once and then no more', async () => {
    await feed.wait(20, new AbortController().signal)
    await writeForeign(10)
    await feed.readPage(feed.start, 10)
    const startedMs = performance.now()
    await feed.wait(50, new AbortController().signal)
    await feed.readPage(feed.start, 10)
    await feed.wait(50, new AbortController().signal)
    expect(performance.now() - startedMs).toBeGreaterThan(45)
  })

  test('has the times of the server, whose clock is finer', async () => {
    const stream = newStream()
    await store.append(stream, NO_STREAM, newEvents(1))
    const [event] = await store.read(stream, 0)
    const [record] = standIn.log.stream(stream)?.records ?? []
    expect(event?.recordedAt).toBe(isoTime(record?.createdMs ?? 0))
  })

  test('refuses to read a stream of weir that they wrote into', async () => {
    const stream = newStream()
    await store.append(stream, NO_STREAM, newEvents(1))
    await standIn.log.append(stream, 0, [foreign('{}')])
    await expect(store.read(stream, 0)).rejects.toThrow('that weir did not write')
  })
})

describe('TLS', () => {
  let folder: string
  const url = (options: string): string =>
    `esdb://admin:changeit@127.0.0.1:${standIn.port}?${options}`

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weir-tls-'))
    writeFileSync(join(folder, 'ca.pem'), testCertificate)
    standIn = await startStandIn({
      tls: { key: testCertificateKey, certificate: testCertificate },
    })
  })

  afterEach(() => rmSync(folder, { recursive: true }))

  test('trusts the certificates of the file that the connection string names', async () => {
    const ca = encodeURIComponent(join(folder, 'ca.pem'))
    const store = storeOf(open(url(`tls=true&tlsCAFile=${ca}`)))
    expect(await store.append(newStream(), NO_STREAM, newEvents(1))).toBe(0)
  })

  test('trusts nobody else, unless it is told to trust everybody', async () => {
    const strict = storeOf(open(url('tls=true')))
    await expect(strict.read(newStream(), 0)).rejects.toThrow()
    const trusting = storeOf(open(url('tls=true&tlsVerifyCert=false')))
    expect(await trusting.read(newStream(), 0)).toEqual([])
  })

  test('carries the user and the password', async () => {
    const secure = open(url('tls=true'))
    expect(secure.metadata.get('authorization')).toEqual([
      `Basic ${Buffer.from('admin:changeit').toString('base64')}`,
    ])
    const insecure = open(url('tls=false'))
    expect(insecure.metadata.get('authorization')).toEqual([])
  })
})

describe('a connection string', () => {
  beforeEach(async () => {
    standIn = await startStandIn()
  })

  test.each([
    'esdb://127.0.0.1',
    'esdb://a:2113,b:2113,c:2113?tls=false&nodePreference=follower',
    'esdb+discover://user:p%40ss@cluster.example.com?keepAliveInterval=-1&gossipTimeout=5',
    'esdb://h:1?tls-verify-cert=false&maxDiscoverAttempts=2&discoveryInterval=10',
    'kurrentdb://admin:changeit@a:2113,b:2113?tls=true',
    'kdb+discover://cluster.example.com',
    'esdb://admin:a%3Ab%3Fc@127.0.0.1:2113/?tls=true',
  ])('%s is understood', (text) => {
    expect(() => open(text)).not.toThrow()
  })

  test('may end in a slash before its options', async () => {
    const { findNode } = readConnectionString('esdb://es.example.com/?tls=false')
    expect(await findNode(undefined)).toEqual({ address: 'es.example.com', port: 2113 })
  })

  test.each([
    ['', 'not like esdb://'],
    ['http://user:secret@host', 'not like esdb://'],
    ['esdb://user:secret@', 'not like esdb://'],
    ['esdb://user:secret@host:2113?tls=perhaps', 'not like esdb://'],
    ['esdb://user:secret@host?colour=blue&tls=false', 'not known: colour'],
    ['esdb://user:a?secret@host:2113', 'percent-encoded'],
    ['esdb://user:a?secret=@host:2113', 'percent-encoded'],
    ['esdb://user:a:secret@host:2113', 'percent-encoded'],
    ['esdb://user:a@secret@host:2113', 'percent-encoded'],
    ['esdb://secret@host:2113', 'percent-encoded'],
    ['esdb://user:secret@host?tlsCAFile=/nowhere.pem', 'ENOENT'],
  ])('%s is refused without its password', (text, why) => {
    expect(() => open(text)).toThrow(why)
    expect(() => open(text)).not.toThrow('secret')
  })
})
