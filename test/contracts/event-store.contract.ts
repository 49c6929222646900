import { randomUUID } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import type { NewEvent } from '../../domain/envelope.ts'
import type { JsonObject } from '../../domain/json.ts'
import {
  appendBytesMax,
  appendCountMax,
  AppendTooBig,
  NO_STREAM,
  readAll,
  readCountMax,
  RevisionConflict,
  type EventStore,
} from '../../domain/ports/event-store.ts'

let streamCount = 0

/** A stream name that no other test uses. */
export function newStream(): string {
  streamCount += 1
  return `test-${process.pid}-${streamCount}`
}

export function newEvent(data: JsonObject = {}, type = 'Tested'): NewEvent {
  return {
    id: randomUUID(),
    type,
    data,
    meta: {
      orgId: 'org-1',
      actor: 'system:test',
      correlationId: 'correlation-1',
      causationId: 'causation-1',
      traceparent: null,
      at: '2026-01-02T03:04:05.678Z',
      schema: 1,
    },
  }
}

export function newEvents(count: number, data: JsonObject = {}): NewEvent[] {
  return Array.from({ length: count }, () => newEvent(data))
}

/** What every event store promises. */
export function eventStoreContract(given: () => EventStore): void {
  writesAndReads(given)
  expectations(given)
  repeats(given)
  concurrency(given)
  contents(given)
}

function writesAndReads(given: () => EventStore): void {
  describe('writes and reads', () => {
    test('an unknown stream is empty', async () => {
      expect(await given().read(newStream(), 0)).toEqual([])
    })

    test('what was appended is read back in order, numbered from 0', async () => {
      const stream = newStream()
      const events = newEvents(3, { n: 1, nested: { list: [1, null, 'x', true] } })
      expect(await given().append(stream, NO_STREAM, events)).toBe(2)
      const read = await given().read(stream, 0)
      expect(read).toEqual(
        events.map((event, revision) => ({
          ...event,
          stream,
          revision,
          position: expect.stringMatching(/^\d+$/),
          recordedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/),
        })),
      )
    })

    test('reading begins at the given revision', async () => {
      const stream = newStream()
      await given().append(stream, NO_STREAM, newEvents(5))
      const revisions = async (from: number): Promise<number[]> =>
        (await given().read(stream, from)).map((event) => event.revision)
      expect(await revisions(3)).toEqual([3, 4])
      expect(await revisions(5)).toEqual([])
    })

    test('a long stream is read in pages', async () => {
      const stream = newStream()
      await given().append(stream, NO_STREAM, newEvents(appendCountMax))
      await given().append(stream, appendCountMax - 1, newEvents(200))
      expect(await given().read(stream, 0)).toHaveLength(readCountMax)
      const all = await readAll(given(), stream, 0)
      expect(all.map((event) => event.revision)).toEqual([...Array(1200).keys()])
    })

    test('many reads at once each get their own stream', async () => {
      const streams = Array.from({ length: 300 }, newStream)
      await Promise.all(
        streams.map((stream, at) =>
          given().append(stream, NO_STREAM, newEvents((at % 4) + 1, { at })),
        ),
      )
      const read = await Promise.all(streams.map((stream, at) => given().read(stream, at % 2)))
      for (const [at, events] of read.entries()) {
        expect(events).toHaveLength((at % 4) + 1 - (at % 2))
        expect(events.every((e) => e.stream === streams[at] && e.data['at'] === at)).toBe(true)
      }
    })
  })
}

function expectations(given: () => EventStore): void {
  describe('expected revision', () => {
    test('a stream that exists cannot be begun again', async () => {
      const stream = newStream()
      await given().append(stream, NO_STREAM, newEvents(1))
      const again = given().append(stream, NO_STREAM, newEvents(1))
      await expect(again).rejects.toBeInstanceOf(RevisionConflict)
    })

    test.each([0, 5])('a stream that does not exist is not at revision %d', async (revision) => {
      const stream = newStream()
      const append = given().append(stream, revision, newEvents(1))
      await expect(append).rejects.toMatchObject({ stream, expected: revision })
      expect(await given().read(stream, 0)).toEqual([])
      expect(await given().append(stream, NO_STREAM, newEvents(1))).toBe(0)
    })

    test.each([0, 2, 7])('a stream at revision 1 is not at revision %d', async (revision) => {
      const stream = newStream()
      await given().append(stream, NO_STREAM, newEvents(2))
      const append = given().append(stream, revision, newEvents(2))
      await expect(append).rejects.toBeInstanceOf(RevisionConflict)
      expect(await given().read(stream, 0)).toHaveLength(2)
      expect(await given().append(stream, 1, newEvents(1))).toBe(2)
    })

    test('appends that nobody could mean are refused', async () => {
      const append = (stream: string, revision: number, events: NewEvent[]): Promise<number> =>
        given().append(stream, revision, events)
      await expect(append('', NO_STREAM, newEvents(1))).rejects.toThrow(RangeError)
      await expect(append('a\0b', NO_STREAM, newEvents(1))).rejects.toThrow(RangeError)
      await expect(append('a\ud800b', NO_STREAM, newEvents(1))).rejects.toThrow(RangeError)
      await expect(append(newStream(), -2, newEvents(1))).rejects.toThrow(RangeError)
      await expect(append(newStream(), 0.5, newEvents(1))).rejects.toThrow(RangeError)
      await expect(append(newStream(), 2 ** 31, newEvents(1))).rejects.toThrow(RangeError)
      await expect(append(newStream(), NO_STREAM, [])).rejects.toThrow(RangeError)
      const tooMany = newEvents(appendCountMax + 1)
      await expect(append(newStream(), NO_STREAM, tooMany)).rejects.toThrow(RangeError)
      const withoutId = [{ ...newEvent(), id: 'x' }]
      await expect(append(newStream(), NO_STREAM, withoutId)).rejects.toThrow(RangeError)
      await expect(given().read(newStream(), -1)).rejects.toThrow(RangeError)
      await expect(given().read('', 0)).rejects.toThrow(RangeError)
    })
  })
}

function repeats(given: () => EventStore): void {
  describe('repeats', () => {
    test('the same append succeeds again and writes nothing', async () => {
      const stream = newStream()
      const events = newEvents(2)
      await given().append(stream, NO_STREAM, events)
      expect(await given().append(stream, NO_STREAM, events)).toBe(1)
      expect(await given().read(stream, 0)).toHaveLength(2)
    })

    test('a repeat succeeds also when the stream has gone on', async () => {
      const stream = newStream()
      const second = newEvents(2)
      await given().append(stream, NO_STREAM, newEvents(1))
      await given().append(stream, 0, second)
      await given().append(stream, 2, newEvents(3))
      expect(await given().append(stream, 0, second)).toBe(2)
      expect(await given().read(stream, 0)).toHaveLength(6)
    })

    test('other ids at the same place conflict, also when only one differs', async () => {
      const stream = newStream()
      const [first, second] = [newEvent(), newEvent()]
      await given().append(stream, NO_STREAM, [first, second])
      const different = given().append(stream, NO_STREAM, [first, newEvent()])
      await expect(different).rejects.toBeInstanceOf(RevisionConflict)
      const longer = given().append(stream, NO_STREAM, [first, second, newEvent()])
      await expect(longer).rejects.toBeInstanceOf(RevisionConflict)
      const elsewhere = given().append(stream, 0, [first])
      await expect(elsewhere).rejects.toBeInstanceOf(RevisionConflict)
    })

    test('the same append made many times at once is written once', async () => {
      const stream = newStream()
      const events = newEvents(3)
      const append = (): Promise<number> => given().append(stream, NO_STREAM, events)
      expect(new Set(await Promise.all(Array.from({ length: 20 }, append)))).toEqual(new Set([2]))
      expect(await given().read(stream, 0)).toHaveLength(3)
    })
  })
}

function concurrency(given: () => EventStore): void {
  describe('concurrency', () => {
    test('appends made at once succeed or conflict independently', async () => {
      const taken = newStream()
      const repeated = newEvents(2)
      await given().append(taken, NO_STREAM, repeated)
      const fresh = Array.from({ length: 50 }, newStream)
      const results = await Promise.allSettled([
        // Of different lengths, so that nobody can be taken for another one.
        ...fresh.map((stream, at) => given().append(stream, NO_STREAM, newEvents(1 + (at % 7)))),
        given().append(taken, NO_STREAM, newEvents(1)),
        given().append(newStream(), 3, newEvents(1)),
        given().append(taken, NO_STREAM, repeated),
      ])
      const answers = results.map((r) => (r.status === 'fulfilled' ? r.value : r.status))
      expect(answers).toEqual([...fresh.map((_, at) => at % 7), 'rejected', 'rejected', 1])
      for (const [at, stream] of fresh.entries()) {
        expect(await given().read(stream, 0)).toHaveLength(1 + (at % 7))
      }
      expect(await given().read(taken, 0)).toHaveLength(2)
    })

    test('of many writers exactly one wins each revision', async () => {
      const stream = newStream()
      const wins: string[] = []
      const write = async (writer: number): Promise<void> => {
        for (let at = await length(); at < 25; at = await length()) {
          const event = newEvent({ writer })
          await given()
            .append(stream, at - 1, [event])
            .then(() => wins.push(event.id))
            .catch((error: unknown) => expect(error).toBeInstanceOf(RevisionConflict))
        }
      }
      const length = async (): Promise<number> => (await given().read(stream, 0)).length
      await Promise.all(Array.from({ length: 10 }, (_, writer) => write(writer)))
      const ids = (await given().read(stream, 0)).map((event) => event.id)
      expect([...wins].sort()).toEqual([...ids].sort())
    })
  })
}

const oddTexts = {
  'NUL characters': 'a\u0000b',
  'lone surrogates': 'high \ud83d, low \ude00',
  'astral characters': '😀 𝒳',
  'quotes, braces and backslashes': '{"a\\\\b",\\"}\',NULL\n\t$1',
  'an empty text': '',
  'line separators': '\u2028\u2029\ufeff',
}

function contents(given: () => EventStore): void {
  describe('contents', () => {
    test.each(Object.entries(oddTexts))('%s come back unchanged', async (_, text) => {
      const stream = newStream()
      await given().append(stream, NO_STREAM, [newEvent({ text, [text]: [text] })])
      const [event] = await given().read(stream, 0)
      expect(event?.data).toEqual({ text, [text]: [text] })
    })

    test('a payload as big as an append may be comes back whole', async () => {
      const stream = newStream()
      // 13 bytes as JSON in UTF-8, twice, and a little for the rest.
      const text = 'ä€😀\\"'.repeat(Math.floor((appendBytesMax - 2_000) / 26))
      await given().append(stream, NO_STREAM, [newEvent({ text }), newEvent({ text })])
      const read = await given().read(stream, 0)
      expect(read.map((event) => event.data['text'] === text)).toEqual([true, true])
    })

    test('an append that is too big is refused and writes nothing', async () => {
      const stream = newStream()
      const text = 'ä'.repeat(appendBytesMax / 4)
      const tooBig = [newEvent({ text }), newEvent({ text })]
      const append = given().append(stream, NO_STREAM, tooBig)
      await expect(append).rejects.toBeInstanceOf(AppendTooBig)
      expect(await given().read(stream, 0)).toEqual([])
    })

    test('an event out of another log keeps its time, also when it is appended again', async () => {
      const stream = newStream()
      const recordedAt = '2021-02-03T04:05:06.789Z'
      const [carried, fresh] = [{ ...newEvent(), recordedAt }, newEvent()]
      await given().append(stream, NO_STREAM, [carried, fresh])
      await given().append(stream, NO_STREAM, [carried, fresh])
      const [first, second] = await given().read(stream, 0)
      expect(first).toMatchObject(carried)
      expect(first?.meta).toEqual(carried.meta)
      expect(second?.recordedAt).not.toBe(recordedAt)
    })

    test('what the caller changes afterwards does not change the log', async () => {
      const stream = newStream()
      const list = [1]
      await given().append(stream, NO_STREAM, [newEvent({ list })])
      list.push(2)
      const [event] = await given().read(stream, 0)
      expect(event?.data).toEqual({ list: [1] })
    })
  })
}
