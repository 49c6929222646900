import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { RecordedEvent } from '../../domain/envelope.ts'
import { type EventStore, NO_STREAM } from '../../domain/ports/event-store.ts'
import type { FeedPartition, FeedPartitions } from '../../domain/ports/feed-partitions.ts'
import { waitFor } from '../support/wait-for.ts'
import { newEvent, newStream } from './event-store.contract.ts'

/** An empty log, what writes to it, and the shares of it as processes get them. */
export type PartitionsHarness = {
  readonly store: EventStore
  /** What one more process has; they share the work of a consumer. */
  readonly newProcess: () => FeedPartitions
  readonly close: () => Promise<void>
}

/** One process that follows, and what it has seen. */
type Follower = {
  readonly shares: Set<string>
  readonly seen: Map<string, RecordedEvent[]>
  readonly stop: () => Promise<void>
}

/** Each stream has an org of its own here. */
function eventOf(orgId: string) {
  const event = newEvent()
  return { ...event, meta: { ...event.meta, orgId } }
}

/** What all feed partitions promise. */
export function feedPartitionsContract(open: () => Promise<PartitionsHarness>): void {
  let given: PartitionsHarness
  let followers: Follower[]

  beforeEach(async () => {
    given = await open()
    followers = []
  })
  afterEach(async () => {
    await Promise.all(followers.map((follower) => follower.stop()))
    await given.close()
  })

  /** Checkpoints of the shares, which processes hand to each other. */
  const checkpoints = new Map<string, string>()

  async function follow(consumer: string): Promise<Follower> {
    const shares = new Set<string>()
    const seen = new Map<string, RecordedEvent[]>()
    const work = async ({ name, feed, signal }: FeedPartition): Promise<void> => {
      shares.add(name)
      const key = `${consumer} ${name}`
      while (!signal.aborted) {
        const after = checkpoints.get(key) ?? feed.start
        const { events, position } = await feed.readPage(after, 10)
        for (const event of events) seen.set(name, [...(seen.get(name) ?? []), event])
        checkpoints.set(key, position)
        if (events.length === 0) await feed.wait(1_000, signal)
      }
      shares.delete(name)
    }
    const stop = await given.newProcess().follow(consumer, work)
    const follower = { shares, seen, stop }
    followers.push(follower)
    return follower
  }

  const write = async (streams: readonly string[], from: number, to: number): Promise<void> => {
    for (let revision = from; revision < to; revision += 1) {
      const before = revision === 0 ? NO_STREAM : revision - 1
      await Promise.all(
        streams.map((stream) => given.store.append(stream, before, [eventOf(stream)])),
      )
    }
  }

  const countOf = (follower: Follower): number => [...follower.seen.values()].flat().length

  test('a lone process sees every event, all of an org in the share it names', async () => {
    const streams = Array.from({ length: 30 }, newStream)
    await write(streams, 0, 2)
    const follower = await follow('one')
    await write(streams, 2, 4)
    await waitFor('all events', () => countOf(follower) >= 120)
    expect(countOf(follower)).toBe(120)
    const partitions = given.newProcess()
    for (const [share, events] of follower.seen) {
      for (const event of events) {
        expect(partitions.shareOf(event)).toBe(share)
        expect(partitions.isIn(share, event)).toBe(true)
      }
    }
    for (const stream of streams) {
      const events = [...follower.seen.values()].flat().filter((event) => event.stream === stream)
      expect(events.map(({ revision }) => revision)).toEqual([0, 1, 2, 3])
    }
  })

  test('consumers of different names each see everything', async () => {
    const streams = Array.from({ length: 5 }, newStream)
    const [one, other] = await Promise.all([follow('this'), follow('that')])
    await write(streams, 0, 2)
    await waitFor('both to see it', () => countOf(one) === 10 && countOf(other) === 10)
  })

  test('when a process stops its work has ended', async () => {
    const follower = await follow('brief')
    await waitFor('a share', () => follower.shares.size > 0)
    await follower.stop()
    expect(follower.shares.size).toBe(0)
  })

  test('the next process goes on where the last one stood', async () => {
    const streams = Array.from({ length: 10 }, newStream)
    const first = await follow('relayed')
    await write(streams, 0, 1)
    await waitFor('the first part', () => countOf(first) === 10)
    await first.stop()
    await write(streams, 1, 2)
    const second = await follow('relayed')
    await waitFor('the second part', () => countOf(second) >= 10)
    expect(new Set([...second.seen.values()].flat().map(({ revision }) => revision))).toEqual(
      new Set([1]),
    )
  })
}
