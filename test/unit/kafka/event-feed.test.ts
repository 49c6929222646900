import { beforeEach, describe, expect, test } from '@jest/globals'
import { types } from 'node:util'
import type { KafkaMessage } from 'kafkajs'
import type { RecordedEvent } from '../../../domain/envelope.ts'
import { KafkaEventFeed } from '../../../infra/kafka/event-feed.ts'
import { encodeEventRecord } from '../../../infra/kafka/event-record.ts'
import { partitionOf } from '../../../infra/kafka/partition-of.ts'
import { decodeEvent } from '../../../infra/event-text.ts'
import { MemoryEventFeed } from '../../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { SystemClock } from '../../../infra/system/clock.ts'

const partitions = 3
const partition = 1

/** An org of the partition, and one of another. */
const orgIn = (at: number): string => {
  for (let n = 0; ; n += 1) if (partitionOf(`org-${n}`, partitions) === at) return `org-${n}`
}
const [ours, others] = [orgIn(partition), orgIn(0)]

let log: MemoryEventLog
let records: KafkaMessage[]
let low: number
let committed: { position: string; offset: number } | null
/** Position of the last event that a relay has published. */
let published: string | null
/** Happens while it is asked for. */
let meanwhile: () => void
let asked: string[]
let aside: string[]
let revoking: AbortController
let feed: KafkaEventFeed
/** Where the consumer fetches next; null while it pauses. */
let fetching: number | null

beforeEach(() => {
  log = new MemoryEventLog()
  ;[records, asked, aside] = [[], [], []]
  ;[low, committed, published, fetching] = [0, null, null, null]
  revoking = new AbortController()
  meanwhile = () => undefined
  open()
})

function open(): void {
  feed = new KafkaEventFeed({
    history: new MemoryEventFeed(log, new SystemClock()),
    signal: revoking.signal,
    source: {
      ...{ partition, partitions },
      places: async () => ({ low, high: records.length, committed }),
      published: async () => {
        meanwhile()
        return published
      },
      fetchFrom: (offset) => {
        asked.push(`from ${offset}`)
        fetching = offset
        queueMicrotask(deliver)
      },
      pause: () => void asked.push('pause'),
      resume: () => void asked.push('resume'),
      undecodable: (_, reason) => void aside.push(reason),
    },
  })
}

function deliver(): void {
  if (fetching === null) return
  const messages = records.slice(Math.max(fetching, low))
  fetching = records.length
  if (messages.length > 0) feed.take({ messages } as Parameters<KafkaEventFeed['take']>[0])
}

/** Puts events of these orgs into the log; gives back what is ours. */
function append(...orgIds: readonly string[]): RecordedEvent[] {
  const first = log.events.length
  for (const orgId of orgIds) {
    const stream = `account-${orgId}`
    const revision = log.streams.get(stream)?.length ?? 0
    const text = { id: `e${log.events.length}`, stream, revision, type: 'Counted' }
    const meta = JSON.stringify({ orgId, traceparent: null })
    log.add([{ ...text, data: '{"a":1}', meta, recordedMs: 0 }])
  }
  const events = log.events.slice(first).map(decodeEvent)
  return events.filter(({ meta }) => meta.orgId === ours)
}

/** Puts events into Kafka as a relay does that has published up to `previous`. */
function publish(
  events: readonly RecordedEvent[],
  previous: string | null = null,
  divided = partitions,
): void {
  let before = previous
  for (const event of events) {
    const record = encodeEventRecord({ event, previous: before, partitions: divided })
    put(record.value, record.headers)
    before = event.position
  }
}

function put(value: Buffer, headers: Record<string, string>): void {
  const message = { key: Buffer.from(ours), value, headers, offset: String(records.length) }
  records.push({ ...message, timestamp: '0', attributes: 0 })
}

const positions = (events: readonly RecordedEvent[]) => events.map(({ position }) => position)
const read = async (after: string, limit = 100) => (await feed.readPage(after, limit)).events

describe('what Kafka has', () => {
  test('is read from there, in pages', async () => {
    const events = append(ours, others, ours, ours)
    publish(events)
    expect(await read('0', 2)).toEqual(events.slice(0, 2))
    expect(await read('3')).toEqual(events.slice(2))
    expect(await feed.readPage('4', 10)).toEqual({ events: [], position: '4' })
  })

  test('twice, from a relay that took over, is read once', async () => {
    const events = append(ours, ours, ours)
    publish(events)
    publish(events.slice(1), '1')
    const more = append(ours)
    publish(events.slice(2), '2')
    publish(more, '3')
    expect(positions(await read('0'))).toEqual(['1', '2', '3', '4'])
  })

  test('that was divided otherwise is left to the partition where it is now', async () => {
    const events = append(ours, ours)
    publish(events, null, partitions + 1)
    publish(events)
    expect(positions(await read('0'))).toEqual(['1', '2'])
  })

  test('is read again for a reader that goes back', async () => {
    publish(append(ours, ours, ours))
    await read('0')
    await read('3')
    expect(positions(await read('1'))).toEqual(['2', '3'])
  })

  test('wakes who waits', async () => {
    publish(append(ours))
    await read('0')
    const waiting = feed.wait(600_000, new AbortController().signal)
    publish(append(ours), '1')
    deliver()
    await waiting
    expect(positions(await read('1'))).toEqual(['2'])
  })
})

describe('what Kafka lacks', () => {
  test('in the middle is read from the event store, and of this partition alone', async () => {
    const events = append(ours, others, ours, others, ours, ours)
    publish(events.slice(0, 1))
    publish(events.slice(3), '5')
    expect(positions(await read('0'))).toEqual(['1'])
    expect(positions(await read('1', 1))).toEqual(['3'])
    expect(positions(await read('3'))).toEqual(['5'])
    expect(positions(await read('5'))).toEqual(['6'])
  })

  test('at the start, because it is too old, is read from the event store', async () => {
    const events = append(ours, ours, ours)
    publish(events)
    low = 2
    expect(positions(await read('0'))).toEqual(['1', '2'])
    expect(positions(await read('2'))).toEqual(['3'])
  })

  test('because a record was spoilt is read from the event store', async () => {
    const events = append(ours, ours, ours)
    publish(events.slice(0, 1))
    put(Buffer.from('{"spoilt'), records[0]?.headers as Record<string, string>)
    publish(events.slice(2), '2')
    expect(positions(await read('0'))).toEqual(['1'])
    expect(positions(await read('1'))).toEqual(['2'])
    expect(positions(await read('2'))).toEqual(['3'])
    expect(aside).toEqual(['it is no JSON'])
  })

  test('at the end, where no record tells of it, is read from the event store', async () => {
    append(ours, others, ours, ours, others)
    published = '4'
    expect(positions(await read('1', 1))).toEqual(['3'])
    expect(positions(await read('3'))).toEqual(['4'])
    expect(await feed.readPage('4', 10)).toEqual({ events: [], position: '4' })
    publish(append(ours), '4')
    deliver()
    expect(positions(await read('4'))).toEqual(['6'])
  })

  test('at the end is read before what is published while it is read', async () => {
    append(ours, ours)
    published = '2'
    expect(positions(await read('0', 1))).toEqual(['1'])
    publish(append(ours), '2')
    deliver()
    expect(positions(await read('1'))).toEqual(['2'])
    expect(positions(await read('2'))).toEqual(['3'])
  })

  test('is not what arrives while it is looked for', async () => {
    const [event] = append(ours, others)
    published = '1'
    meanwhile = () => {
      publish([{ ...event!, id: 'from Kafka' }])
      deliver()
    }
    expect((await read('0')).map(({ id }) => id)).toEqual(['from Kafka'])
  })

  test('and nobody has published is not looked for', async () => {
    publish(append(ours))
    append(ours)
    published = '1'
    expect(positions(await read('0'))).toEqual(['1'])
    expect(positions(await read('1'))).toEqual([])
  })

  test('and the event store too is an error, after which it begins anew', async () => {
    const events = append(ours)
    publish([...events, { ...events[0]!, position: '9' }].slice(1), '7')
    await expect(read('1')).rejects.toThrow('the event store ends before 7')
    append(others, others, others, others, ours, ours, others, ours)
    expect(positions(await read('1'))).toEqual(['6', '7'])
  })
})

describe('records that cannot be read', () => {
  test.each([
    ['it is no JSON', 'garbage', { 'weir-previous': '', 'weir-partitions': '3' }],
    ['it is no event', '{"id":"x"}', { 'weir-previous': '', 'weir-partitions': '3' }],
    ['it is no event', 'null', { 'weir-previous': '', 'weir-partitions': '3' }],
    ['it has not the headers of a relay', '{}', {}],
  ])('are put aside and block nobody: %s of %s', async (reason, value, headers) => {
    put(Buffer.from(value), headers)
    publish(append(ours))
    expect(positions(await read('0'))).toEqual(['1'])
    expect(aside).toEqual([reason])
  })
})

describe('offsets', () => {
  test('are done with when more is asked for, but for a page that may be written yet', async () => {
    publish(append(ours, ours, ours))
    await read('0', 1)
    await read('1', 1)
    expect(feed.done).toBeNull()
    await read('2', 1)
    expect(feed.done).toEqual({ position: '1', offset: 1 })
    await read('3', 1)
    await read('3', 1)
    expect(feed.done).toEqual({ position: '3', offset: 3 })
  })

  test('spare the reading of what lies before', async () => {
    publish(append(ours, ours, ours))
    committed = { position: '2', offset: 2 }
    expect(positions(await read('2'))).toEqual(['3'])
    expect(asked).toEqual(['from 2'])
  })

  test('that are ahead of the reader are not believed', async () => {
    publish(append(ours, ours, ours))
    committed = { position: '2', offset: 2 }
    expect(positions(await read('1'))).toEqual(['2', '3'])
    expect(asked).toEqual(['from 0'])
  })

  test('of another topic are not believed', async () => {
    publish(append(ours, ours))
    committed = { position: '2', offset: 200 }
    expect(positions(await read('2'))).toEqual([])
    expect(asked).toEqual(['from 0'])
  })
})

test('fetching pauses while the reader is slow, and goes on', async () => {
  publish(append(...Array.from({ length: 5_000 }, () => ours)))
  await read('0', 1_000)
  expect(asked).toEqual(['from 0', 'pause'])
  expect(feed.isPaused).toBe(true)
  for (let after = 1_000; after < 4_000; after += 1_000) await read(String(after), 1_000)
  expect(asked).toEqual(['from 0', 'pause', 'resume'])
})

test('a wait that is over leaves nothing behind at the signal of its reader', async () => {
  publish(append(ours))
  await read('0')
  const { signal } = new AbortController()
  for (let waits = 0; waits < 5; waits += 1) await feed.wait(1, signal)
  const sets = Object.getOwnPropertySymbols(signal)
    .map((name): unknown => Reflect.get(signal, name))
    .filter((value) => types.isSet(value))
  expect(sets.filter(({ size }) => size > 0)).toEqual([])
})

test('a partition that was taken away has nothing to read, and wakes its reader', async () => {
  publish(append(ours))
  await read('0')
  const waiting = feed.wait(600_000, new AbortController().signal)
  revoking.abort()
  await waiting
  publish(append(ours), '1')
  deliver()
  expect(await feed.readPage('1', 10)).toEqual({ events: [], position: '1' })
})
