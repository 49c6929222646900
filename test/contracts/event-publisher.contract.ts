import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { EventPublisher, Publication } from '../../domain/ports/event-publisher.ts'
import { recordedEvents } from '../support/recorded-events.ts'

/** An empty topic, what publishes to it, and a look at what is in it. */
export type PublisherHarness = {
  readonly publisher: EventPublisher
  /** All that was published; each stream in the order in which readers find it. */
  readonly published: () => Promise<readonly RecordedEvent[]>
  /** Puts an empty topic in the place of this one. */
  readonly replace: () => Promise<void>
}

/** What every event publisher promises. */
export function eventPublisherContract(open: () => Promise<PublisherHarness>): void {
  let given: PublisherHarness
  let opened: Publication[]

  beforeEach(async () => {
    given = await open()
    opened = []
  })
  afterEach(async () => {
    await Promise.all(opened.map((publication) => publication.close()))
  })

  const openPublication = async (): Promise<Publication> => {
    const publication = await given.publisher.open()
    opened.push(publication)
    return publication
  }

  const byStream = (events: readonly RecordedEvent[]): Map<string, readonly RecordedEvent[]> => {
    const streams = [...new Set(events.map(({ stream }) => stream))].sort()
    const eventsOf = (one: string) => events.filter(({ stream }) => stream === one)
    return new Map(streams.map((stream) => [stream, eventsOf(stream)]))
  }

  test('what is published is found whole, each stream in its order', async () => {
    const events = recordedEvents(300, 20)
    const publication = await openPublication()
    const mark = await publication.publish(events.slice(0, 100), null)
    await publication.publish(events.slice(100), mark)
    const published = await given.published()
    expect(published).toHaveLength(300)
    expect(byStream(published)).toEqual(byStream(events))
  })

  test('events of any size are published', async () => {
    const events = recordedEvents(200, 2).map((event) => ({
      ...event,
      data: { text: 'ü😀'.repeat(5_000) },
    }))
    const publication = await openPublication()
    await publication.publish(events, null)
    expect(byStream(await given.published())).toEqual(byStream(events))
  })

  test('the mark holds, for another publication too, and when more was published', async () => {
    const events = recordedEvents(60, 7)
    const first = await openPublication()
    const mark = await first.publish(events.slice(0, 30), null)
    expect(await first.holds(mark)).toBe(true)
    await first.close()
    const second = await openPublication()
    expect(await second.holds(mark)).toBe(true)
    const later = await second.publish(events.slice(30), mark)
    expect(await second.holds(mark)).toBe(true)
    expect(await second.holds(later)).toBe(true)
  })

  test('what is published again from an earlier mark is there twice, in order', async () => {
    const events = recordedEvents(40, 5)
    const first = await openPublication()
    const mark = await first.publish(events.slice(0, 20), null)
    await first.publish(events.slice(20), mark)
    const second = await openPublication()
    await second.publish(events.slice(20), mark)
    const again = [...events, ...events.slice(20)]
    expect(byStream(await given.published())).toEqual(byStream(again))
  })

  test('in a topic that was replaced no mark holds, and a new publication starts it', async () => {
    const events = recordedEvents(40, 5)
    const first = await openPublication()
    const mark = await first.publish(events, null)
    await given.replace()
    const second = await openPublication()
    expect(await second.holds(mark)).toBe(false)
    const fresh = await second.publish(events, null)
    expect(await second.holds(fresh)).toBe(true)
    expect(byStream(await given.published())).toEqual(byStream(events))
  })

  test('in a topic that was replaced what comes next is published from a mark', async () => {
    const events = recordedEvents(40, 5)
    const first = await openPublication()
    const mark = await first.publish(events.slice(0, 20), null)
    await given.replace()
    const second = await openPublication()
    const resumed = await second.resume(mark)
    expect(resumed === null || (await second.holds(resumed))).toBe(true)
    const later = await second.publish(events.slice(20), resumed)
    expect(await second.holds(later)).toBe(true)
    expect(byStream(await given.published())).toEqual(byStream(events.slice(20)))
  })

  test('a publication that was open refuses to go on in another topic', async () => {
    const events = recordedEvents(40, 5)
    const publication = await openPublication()
    const mark = await publication.publish(events.slice(0, 20), null)
    await given.replace()
    await expect(publication.publish(events.slice(20), mark)).rejects.toThrow()
  })
}
