import { expect, test } from '@jest/globals'
import { NO_STREAM } from '../../../domain/ports/event-store.ts'
import type { EventFeed } from '../../../domain/ports/event-feed.ts'
import { MemoryEventFeed } from '../../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { SystemClock } from '../../../infra/system/clock.ts'
import { SharedFeed } from '../../../workers/shared-feed.ts'
import { newEvents, newStream } from '../../contracts/event-store.contract.ts'

/** A log, how often it was read, and a shared feed of it. */
function given() {
  const log = new MemoryEventLog()
  const reads: string[] = []
  class Counted extends MemoryEventFeed {
    override readPage(after: string, limit: number) {
      reads.push(after)
      return super.readPage(after, limit)
    }
  }
  const shared = new SharedFeed(() => new Counted(log, new SystemClock()), new SystemClock())
  const store = new MemoryEventStore(log)
  const append = (count: number) => store.append(newStream(), NO_STREAM, newEvents(count))
  return { append, reads, shared }
}

/** The positions of everything beyond `after`, read in pages. */
async function positionsOf(feed: EventFeed, after: string, limit: number): Promise<string[]> {
  const positions: string[] = []
  for (let at = after; ;) {
    const page = await feed.readPage(at, limit)
    if (page.events.length === 0) return positions
    positions.push(...page.events.map(({ position }) => position))
    at = page.position
  }
}

const oneTo = (last: number): string[] => Array.from({ length: last }, (_, at) => String(at + 1))

test('a page is read once for all who stand at the same place', async () => {
  const { append, reads, shared } = given()
  await append(3)
  const [one, two, three] = [shared.reader(), shared.reader(), shared.reader()]
  const together = await Promise.all([one, two].map((feed) => feed.readPage('0', 10)))
  const later = await three.readPage('0', 10)
  expect(reads).toEqual(['0'])
  expect(new Set([...together, later].map(({ events }) => events[0])).size).toBe(1)
  expect(later.position).toBe('3')
})

test('who is a little behind reads from what is kept, in pages of its own size', async () => {
  const { append, reads, shared } = given()
  const [fast, slow] = [shared.reader(), shared.reader()]
  await append(10)
  await fast.readPage('0', 10)
  expect((await slow.readPage('0', 4)).position).toBe('4')
  expect((await slow.readPage('4', 4)).events.map(({ position }) => position)).toEqual([
    ...['5', '6', '7', '8'],
  ])
  expect(reads).toEqual(['0'])
  expect(await positionsOf(slow, '8', 4)).toEqual(['9', '10'])
})

test('who is far behind reads by itself and loses nothing', async () => {
  const { append, shared } = given()
  for (let at = 0; at < 6; at += 1) await append(1_000)
  const [fast, slow] = [shared.reader(), shared.reader()]
  expect(await positionsOf(fast, '0', 1_000)).toHaveLength(6_000)
  expect(await positionsOf(slow, '0', 700)).toEqual(oneTo(6_000))
})

test('who is ahead of the others is not held up by them', async () => {
  const { append, reads, shared } = given()
  await append(100)
  const [slow, fast] = [shared.reader(), shared.reader()]
  const [behind, ahead] = await Promise.all([slow.readPage('0', 5), fast.readPage('90', 100)])
  expect(behind.events[0]?.position).toBe('1')
  expect(ahead.events.map(({ position }) => position)).toEqual(oneTo(100).slice(90))
  expect(reads).toContain('90')
  expect(await positionsOf(slow, behind.position, 5)).toEqual(oneTo(100).slice(5))
})

test('news that another reader has fetched ends a wait', async () => {
  const { append, shared } = given()
  const [one, two] = [shared.reader(), shared.reader()]
  await Promise.all([one, two].map((feed) => feed.readPage('0', 10)))
  await append(1)
  await one.readPage('0', 10)
  await two.wait(60_000, new AbortController().signal)
  expect((await two.readPage('0', 10)).events).toHaveLength(1)
})

test('news that another reader is fetching when a wait begins ends the wait', async () => {
  const { append, shared } = given()
  const [one, two] = [shared.reader(), shared.reader()]
  await Promise.all([one, two].map((feed) => feed.readPage('0', 10)))
  await append(1)
  const reading = one.readPage('0', 10)
  const waiting = two.wait(60_000, new AbortController().signal)
  await reading
  await waiting
  expect((await two.readPage('0', 10)).events).toHaveLength(1)
})

test('a reader that stops waiting leaves the others waiting', async () => {
  const { append, shared } = given()
  const [one, two] = [shared.reader(), shared.reader()]
  await Promise.all([one, two].map((feed) => feed.readPage('0', 10)))
  const stop = new AbortController()
  const waits = [one.wait(60_000, stop.signal), two.wait(60_000, new AbortController().signal)]
  stop.abort()
  await waits[0]
  await append(1)
  await waits[1]
})

test('in a busy time a reading waits a moment, so that it finds more', async () => {
  const { append, reads, shared } = given()
  const feed = shared.reader()
  await append(10)
  await feed.readPage('0', 100)
  const next = feed.readPage('10', 100)
  await append(10)
  expect((await next).events).toHaveLength(10)
  expect(reads).toEqual(['0', '10'])
})
