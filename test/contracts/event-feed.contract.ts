import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { type EventStore, NO_STREAM } from '../../domain/ports/event-store.ts'
import { newEvent, newEvents, newStream } from './event-store.contract.ts'

/** An empty log, a feed of it, and what writes to it. */
export type FeedHarness = {
  readonly feed: EventFeed
  readonly store: EventStore
  readonly close: () => Promise<void>
}

/** Longer than any test: who waits that long was not woken. */
const foreverMs = 600_000

const never = new AbortController().signal

async function readToEnd(feed: EventFeed, limit: number): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for (let after = feed.start; ;) {
    const page = await feed.readPage(after, limit)
    if (page.events.length === 0) return events
    events.push(...page.events)
    after = page.position
  }
}

/** What every event feed promises. */
export function eventFeedContract(open: () => Promise<FeedHarness>): void {
  let given: FeedHarness

  beforeEach(async () => {
    given = await open()
  })
  afterEach(async () => {
    await given.close()
  })

  reading(() => given)
  waiting(() => given)
}

function reading(given: () => FeedHarness): void {
  describe('reading', () => {
    test('an empty log has an empty page at the start', async () => {
      const { feed } = given()
      expect(await feed.readPage(feed.start, 10)).toEqual({ events: [], position: feed.start })
      expect(feed.compare(await feed.head(), feed.start)).toBe(0)
    })

    test('gives the same events as the store, in the order of their positions', async () => {
      const { feed, store } = given()
      const [one, two] = [newStream(), newStream()]
      await store.append(one, NO_STREAM, newEvents(2, { a: '\u0000 \ud800 😀' }))
      await store.append(two, NO_STREAM, newEvents(1))
      await store.append(one, 1, newEvents(1))
      const events = await readToEnd(feed, 100)
      const places = events.map(({ stream, revision }) => [stream, revision])
      expect(places).toEqual([
        [one, 0],
        [one, 1],
        [two, 0],
        [one, 2],
      ])
      expect(events.filter(({ stream }) => stream === one)).toEqual(await store.read(one, 0))
    })

    test('goes on after the position of a page, whatever the size of pages', async () => {
      const { feed, store } = given()
      for (let at = 0; at < 5; at += 1) await store.append(newStream(), NO_STREAM, newEvents(3))
      const all = await readToEnd(feed, 100)
      expect(all).toHaveLength(15)
      for (const limit of [1, 4, 15]) expect(await readToEnd(feed, limit)).toEqual(all)
    })

    test('positions grow, and the head is the last one', async () => {
      const { feed, store } = given()
      await store.append(newStream(), NO_STREAM, newEvents(12))
      const positions = (await readToEnd(feed, 100)).map((event) => event.position)
      for (const [at, position] of positions.entries()) {
        expect(feed.compare(position, positions[at - 1] ?? feed.start)).toBeGreaterThan(0)
        expect(feed.compare(positions[at - 1] ?? feed.start, position)).toBeLessThan(0)
      }
      expect(await feed.head()).toBe(positions.at(-1))
    })

    test('reaches what it has, and not what lies beyond', async () => {
      const { feed, store } = given()
      const stream = newStream()
      await store.append(stream, NO_STREAM, newEvents(2))
      const [first, second] = await store.read(stream, 0)
      expect(await feed.reaches(first?.position ?? '')).toBe(true)
      expect(await feed.reaches(second?.position ?? '')).toBe(true)
      expect(await feed.reaches(`${second?.position}000`)).toBe(false)
    })

    test('refused and repeated appends leave nothing in the log', async () => {
      const { feed, store } = given()
      const stream = newStream()
      const events = newEvents(2)
      await store.append(stream, NO_STREAM, events)
      await store.append(stream, NO_STREAM, events)
      await store.append(stream, 7, newEvents(1)).catch(() => undefined)
      expect(await readToEnd(feed, 10)).toHaveLength(2)
    })

    test('a reader beside many writers sees every event once and streams in order', async () => {
      const { feed, store } = given()
      const streams = Array.from({ length: 20 }, newStream)
      const write = async (stream: string): Promise<void> => {
        for (let revision = -1; revision < 29; revision += 1) {
          await store.append(stream, revision, [newEvent()])
        }
      }
      const writers = Promise.all(streams.map(write))
      const next = new Map<string, number>()
      let after = feed.start
      for (let count = 0; count < 600;) {
        const page = await feed.readPage(after, 50)
        for (const { stream, revision } of page.events) {
          expect(revision).toBe(next.get(stream) ?? 0)
          next.set(stream, revision + 1)
        }
        count += page.events.length
        after = page.position
        if (page.events.length === 0) await feed.wait(1_000, never)
      }
      await writers
      expect((await feed.readPage(after, 50)).events).toEqual([])
    })
  })
}

function waiting(given: () => FeedHarness): void {
  describe('waiting', () => {
    test('ends after the idle time', async () => {
      const { feed } = given()
      await feed.readPage(feed.start, 10)
      await feed.wait(20, never)
    })

    test('ends when something is appended', async () => {
      const { feed, store } = given()
      // The first wait makes the feed listen; from then on appends are heard.
      await feed.wait(50, never)
      for (let round = 0; round < 3; round += 1) {
        const after = await feed.head()
        await feed.readPage(after, 10)
        const woken = feed.wait(foreverMs, never)
        await store.append(newStream(), NO_STREAM, newEvents(1))
        await woken
      }
    })

    test('ends when something was appended between reading and waiting', async () => {
      const { feed, store } = given()
      await feed.wait(50, never)
      await feed.readPage(feed.start, 10)
      await store.append(newStream(), NO_STREAM, newEvents(1))
      await feed.wait(foreverMs, never)
    })

    test('ends when the signal aborts, before or while', async () => {
      const { feed } = given()
      await feed.readPage(feed.start, 10)
      await feed.wait(foreverMs, AbortSignal.abort())
      const abort = new AbortController()
      const waiting = feed.wait(foreverMs, abort.signal)
      abort.abort()
      await waiting
    })
  })
}
