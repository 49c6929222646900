import { randomUUID } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import {
  CheckpointMoved,
  type ReadModelStore,
  type Row,
  type Table,
} from '../../domain/ports/read-model-store.ts'

/** A row with a column of every kind. */
export const thingTable: Table = {
  name: 'contract_thing',
  key: 'thingId',
  columns: {
    thingId: 'text',
    label: 'text',
    number: 'int',
    amount: 'numeric',
    happenedAt: 'time',
    facts: 'json',
    isOpen: 'bool',
  },
  appendOnly: false,
}

export const factTable: Table = {
  name: 'contract_fact',
  key: 'factId',
  columns: { factId: 'text', label: 'text' },
  appendOnly: true,
}

const tables = [thingTable, factTable]

function thing(more: Row = {}): Row {
  return {
    thingId: randomUUID(),
    label: 'a thing',
    number: 7,
    amount: '1200000',
    happenedAt: '2026-01-02T03:04:05.678Z',
    facts: { a: [1, null, 'x'] },
    isOpen: true,
    ...more,
  }
}

const keyOf = (row: Row): string => row['thingId'] as string
const newName = (): string => `contract_${randomUUID()}`

/** What every store of read models promises. */
export function readModelStoreContract(given: () => ReadModelStore): void {
  rows(given)
  checkpoints(given)
  snapshots(given)
  rebuilds(given)
}

function rows(given: () => ReadModelStore): void {
  const put = (table: Table, ...each: Row[]) =>
    given().commit([], [{ table, put: each, remove: [] }], 'live')

  describe('rows', () => {
    test('what nobody wrote is not there', async () => {
      expect(await given().load(thingTable, [randomUUID()], 'live')).toEqual([])
      expect(await given().load(thingTable, [], 'live')).toEqual([])
    })

    test.each<[string, Row]>([
      ['plain values', {}],
      [
        'nothing in every column',
        {
          ...{
            label: null,
            number: null,
            amount: null,
            happenedAt: null,
            facts: null,
            isOpen: null,
          },
        },
      ],
      ['amounts of forty digits', { amount: '9'.repeat(40) }],
      ['debts', { amount: `-${'8'.repeat(40)}`, number: -3 }],
      ['nothing at all, as an amount', { amount: '0', number: 0, isOpen: false, label: '' }],
      ['a time without milliseconds', { happenedAt: '2026-06-01T00:00:00.000Z' }],
      ['a time long ago', { happenedAt: '1970-01-01T00:00:00.001Z' }],
      ['text of all kinds', { label: `"quotes", \\ {braces} NULL\n\t'ü' 👁‍🗨` }],
      ['JSON lists', { facts: ['job.started', 'job.succeeded'] }],
      ['JSON that is text', { facts: 'null' }],
      [
        'JSON of all kinds',
        {
          facts: {
            zero: '\u0000',
            half: '\ud800',
            deep: [[[{}]]],
            big: 1e300,
            z: 1,
            a: 2,
            t: true,
          },
        },
      ],
    ])('a row comes back as it was put: %s', async (_, more) => {
      const row = thing(more)
      await put(thingTable, row)
      expect(await given().load(thingTable, [keyOf(row)], 'live')).toStrictEqual([row])
    })

    test('many rows are put and loaded at once, those that are there', async () => {
      const many = Array.from({ length: 500 }, (_, number) => thing({ number }))
      await put(thingTable, ...many)
      const keys = [...many.map(keyOf), randomUUID()]
      const loaded = await given().load(thingTable, keys, 'live')
      const byNumber = loaded.toSorted((a, b) => Number(a['number']) - Number(b['number']))
      expect(byNumber).toStrictEqual(many)
    })

    test('a row that is put again replaces the old one whole', async () => {
      const row = thing()
      await put(thingTable, row)
      const next = { ...thing({ label: null, amount: '-1' }), thingId: keyOf(row) }
      await put(thingTable, next)
      expect(await given().load(thingTable, [keyOf(row)], 'live')).toStrictEqual([next])
    })

    test('the first row of an append-only table stays', async () => {
      const factId = randomUUID()
      await put(factTable, { factId, label: 'first' })
      await put(factTable, { factId, label: 'second' }, { factId: randomUUID(), label: 'other' })
      expect(await given().load(factTable, [factId], 'live')).toEqual([{ factId, label: 'first' }])
    })

    test('rows are removed with what is put in the same change', async () => {
      const [gone, kept] = [thing(), thing()]
      await put(thingTable, gone)
      const remove = [keyOf(gone), randomUUID()]
      await given().commit([], [{ table: thingTable, put: [kept], remove }], 'live')
      const keys = [keyOf(gone), keyOf(kept)]
      expect(await given().load(thingTable, keys, 'live')).toStrictEqual([kept])
    })
  })
}

function snapshots(given: () => ReadModelStore): void {
  const put = (...each: Row[]) =>
    given().commit([], [{ table: factTable, put: each, remove: [] }], 'live')

  describe('a snapshot', () => {
    test('has all rows, page by page, in the byte order of their keys', async () => {
      const prefix = randomUUID()
      const ends = ['a', 'Z', 'é', '\uffff', '😀', '', '-', 'aa', '10', '9']
      const keys = ends.map((end) => `${prefix}${end}`)
      await put(...keys.map((factId) => ({ factId, label: null })))
      const seen = await given().snapshot(async ({ scan }) => {
        const found: Row[] = []
        for (let after: string | null = null; ;) {
          const page: readonly Row[] = await scan(factTable, after, 3)
          found.push(...page)
          after = (page.at(-1)?.['factId'] ?? null) as string | null
          if (page.length < 3) return found
        }
      })
      const mine = seen.map((row) => row['factId'] as string).filter((id) => id.startsWith(prefix))
      expect(mine).toEqual(keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
    })

    test('begins beyond the key, with rows as they were put', async () => {
      const row = thing()
      await given().commit([], [{ table: thingTable, put: [row], remove: [] }], 'live')
      const before = keyOf(row).slice(0, -1)
      await given().snapshot(async ({ scan }) => {
        expect(await scan(thingTable, before, 1)).toStrictEqual([row])
        const next = await scan(thingTable, keyOf(row), 1)
        expect(next.map(keyOf)).not.toContain(keyOf(row))
        expect(await scan(thingTable, '\u{10ffff}', 1)).toEqual([])
      })
    })

    test('stays as it was while others write', async () => {
      const [name, row] = [newName(), thing({ label: 'then' })]
      const moves = (from: string | null, to: string) => [{ name, version: 1, from, to }]
      const write = (from: string | null, to: string, each: Row) =>
        given().commit(moves(from, to), [{ table: thingTable, put: [each], remove: [] }], 'live')
      await write(null, '10', row)
      const before = keyOf(row).slice(0, -1)
      await given().snapshot(async ({ stands, scan }) => {
        expect(await stands(name, 1)).toEqual(new Map([['', '10']]))
        await write('10', '20', { ...row, label: 'now' })
        expect(await stands(name, 1)).toEqual(new Map([['', '10']]))
        expect(await scan(thingTable, before, 1)).toStrictEqual([row])
        expect((await stands(name, 2)).size).toBe(0)
      })
      expect(await given().checkpoint(name, 1, 'live')).toBe('20')
    })

    test('passes on what goes wrong, and leaves nothing behind', async () => {
      const failing = given().snapshot(() => Promise.reject(new Error('no')))
      await expect(failing).rejects.toThrow('no')
      await put({ factId: randomUUID(), label: 'x' })
    })
  })
}

function checkpoints(given: () => ReadModelStore): void {
  const move = (name: string, from: string | null, to: string, row?: Row) =>
    given().commit(
      [{ name, version: 1, from, to }],
      row ? [{ table: thingTable, put: [row], remove: [] }] : [],
      'live',
    )

  describe('checkpoints', () => {
    test('a read model that was never started stands nowhere', async () => {
      expect(await given().checkpoint(newName(), 1, 'live')).toBeNull()
    })

    test('a checkpoint moves with its rows', async () => {
      const [name, first, second] = [newName(), thing(), thing()]
      await move(name, null, '10', first)
      expect(await given().checkpoint(name, 1, 'live')).toBe('10')
      await move(name, '10', '25', second)
      expect(await given().checkpoint(name, 1, 'live')).toBe('25')
      const keys = [keyOf(first), keyOf(second)]
      expect(await given().load(thingTable, keys, 'live')).toHaveLength(2)
    })

    test.each<[string, string | null]>([
      ['another place', '9'],
      ['the beginning', null],
    ])('nothing is written when it was read at %s', async (_, from) => {
      const [name, row] = [newName(), thing()]
      await move(name, null, '10')
      await expect(move(name, from, '20', row)).rejects.toThrow(CheckpointMoved)
      expect(await given().checkpoint(name, 1, 'live')).toBe('10')
      expect(await given().load(thingTable, [keyOf(row)], 'live')).toEqual([])
    })

    test('a checkpoint that is gone does not come back half-way', async () => {
      const name = newName()
      await expect(move(name, '500', '600')).rejects.toThrow(CheckpointMoved)
      expect(await given().checkpoint(name, 1, 'live')).toBeNull()
    })

    test('another version stands elsewhere and moves nothing', async () => {
      const name = newName()
      await move(name, null, '10')
      expect(await given().checkpoint(name, 2, 'live')).toBeNull()
      for (const from of ['10', null]) {
        const second = given().commit([{ name, version: 2, from, to: '20' }], [], 'live')
        await expect(second).rejects.toThrow(CheckpointMoved)
      }
      expect(await given().checkpoint(name, 1, 'live')).toBe('10')
    })

    test('shares of the log move by themselves, from where the whole stands', async () => {
      const name = newName()
      const share = (of: string, from: string | null, to: string, row = thing()) =>
        given().commit(
          [{ name, version: 1, share: of, from, to }],
          [{ table: thingTable, put: [row], remove: [] }],
          'live',
        )
      await move(name, null, '10')
      expect(await given().checkpoint(name, 1, 'live', 'a')).toBe('10')
      const lost = thing()
      for (const from of [null, '9']) {
        await expect(share('a', from, '20', lost)).rejects.toThrow(CheckpointMoved)
      }
      await share('a', '10', '20')
      await share('b', '10', '15')
      await expect(share('b', '10', '16', lost)).rejects.toThrow(CheckpointMoved)
      expect(await given().stands(name, 1)).toEqual(
        new Map([
          ['', '10'],
          ['a', '20'],
          ['b', '15'],
        ]),
      )
      expect(await given().load(thingTable, [keyOf(lost)], 'live')).toEqual([])
      expect(await given().checkpoint(name, 2, 'live', 'a')).toBeNull()
      expect((await given().stands(name, 2)).size).toBe(0)
    })

    test('a share of what was never started begins by itself', async () => {
      const name = newName()
      const begin = () =>
        given().commit([{ name, version: 1, share: 'a', from: null, to: '5' }], [], 'live')
      await begin()
      await expect(begin()).rejects.toThrow(CheckpointMoved)
      expect(await given().checkpoint(name, 1, 'live', 'a')).toBe('5')
      expect(await given().checkpoint(name, 1, 'live')).toBeNull()
    })

    test('several move together or not at all', async () => {
      const [a, b, row] = [newName(), newName(), thing()]
      const both = (fromA: string | null, fromB: string | null, to: string) =>
        given().commit(
          [
            { name: b, version: 1, from: fromB, to },
            { name: a, version: 1, from: fromA, to },
          ],
          [{ table: thingTable, put: [row], remove: [] }],
          'live',
        )
      await both(null, null, '10')
      await both('10', '10', '20')
      await move(b, '20', '30')
      await expect(both('20', '20', '40')).rejects.toThrow(CheckpointMoved)
      expect(await given().checkpoint(a, 1, 'live')).toBe('20')
      expect(await given().checkpoint(b, 1, 'live')).toBe('30')
    })

    test('rows of several tables are written with a checkpoint, or none is', async () => {
      const [name, row] = [newName(), thing()]
      const fact = { factId: randomUUID(), label: 'a fact' }
      const both = (from: string | null) =>
        given().commit(
          [{ name, version: 1, from, to: '10' }],
          [
            { table: thingTable, put: [row], remove: [] },
            { table: factTable, put: [fact], remove: [] },
          ],
          'live',
        )
      const there = async () => [
        await given().load(thingTable, [keyOf(row)], 'live'),
        await given().load(factTable, [fact.factId], 'live'),
      ]
      await expect(both('5')).rejects.toThrow(CheckpointMoved)
      expect(await there()).toEqual([[], []])
      await both(null)
      expect(await there()).toEqual([[row], [fact]])
    })

    test('of two processes at the same place one is faster', async () => {
      const name = newName()
      for (const from of [null, '1', '2', '3']) {
        const to = String(Number(from ?? '0') + 1)
        const attempts = [1, 2, 3].map(() => move(name, from, to))
        const outcomes = await Promise.allSettled(attempts)
        const failures = outcomes.flatMap((each) =>
          each.status === 'rejected' ? [each.reason as Error] : [],
        )
        expect(failures.map((error) => error.name)).toEqual(['CheckpointMoved', 'CheckpointMoved'])
      }
    })
  })
}

function rebuilds(given: () => ReadModelStore): void {
  const write = (
    generation: 'live' | 'next',
    [name, version, from, to]: readonly [string, number, string | null, string],
    row: Row,
  ) =>
    given().commit(
      [{ name, version, from, to }],
      [{ table: thingTable, put: [row], remove: [] }],
      generation,
    )
  const compare = (a: string, b: string): number => Number(a) - Number(b)
  const swap = (name: string, version: number) => given().swap({ name, version, tables, compare })
  const labelOf = async (key: string, generation: 'live' | 'next' = 'live') => {
    const [row] = await given().load(thingTable, [key], generation)
    return row?.['label'] ?? null
  }

  describe('a rebuild', () => {
    test('is made beside the live rows and takes their place', async () => {
      const [name, old] = [newName(), thing({ label: 'old' })]
      const key = keyOf(old)
      await write('live', [name, 1, null, '10'], old)
      await given().beginRebuild(name, tables)
      expect(await given().checkpoint(name, 1, 'next')).toBeNull()
      expect(await labelOf(key, 'next')).toBeNull()
      await write('next', [name, 1, null, '10'], { ...old, label: 'new' })
      expect(await given().checkpoint(name, 1, 'next')).toBe('10')
      expect([await labelOf(key), await labelOf(key, 'next')]).toEqual(['old', 'new'])

      expect(await swap(name, 1)).toBe(true)
      expect(await labelOf(key)).toBe('new')
      expect(await given().checkpoint(name, 1, 'live')).toBe('10')
      expect(await given().checkpoint(name, 1, 'next')).toBeNull()
    })

    test('does not take the place of rows that have moved on', async () => {
      const [name, row] = [newName(), thing({ label: 'live' })]
      const key = keyOf(row)
      await write('live', [name, 1, null, '10'], row)
      await given().beginRebuild(name, tables)
      await write('next', [name, 1, null, '10'], { ...row, label: 'next' })
      await write('live', [name, 1, '10', '20'], row)
      expect(await swap(name, 1)).toBe(false)
      expect(await labelOf(key)).toBe('live')
      expect(await given().checkpoint(name, 1, 'live')).toBe('20')

      await write('next', [name, 1, '10', '20'], { ...row, label: 'next' })
      expect(await swap(name, 1)).toBe(true)
      expect(await labelOf(key)).toBe('next')
    })

    test('that was not begun takes no place', async () => {
      const [name, row] = [newName(), thing({ label: 'live' })]
      await write('live', [name, 1, null, '10'], row)
      await given().beginRebuild(name, tables)
      expect(await swap(name, 1)).toBe(false)
      expect(await labelOf(keyOf(row))).toBe('live')
    })

    test('of a new version replaces the old one, which then cannot move', async () => {
      const [name, row] = [newName(), thing({ label: 'version 1' })]
      await write('live', [name, 1, null, '10'], row)
      await given().beginRebuild(name, tables)
      await write('next', [name, 2, null, '30'], { ...row, label: 'version 2' })
      expect(await swap(name, 1)).toBe(false)
      expect(await swap(name, 2)).toBe(true)
      expect(await given().checkpoint(name, 2, 'live')).toBe('30')
      expect(await labelOf(keyOf(row))).toBe('version 2')
      await expect(write('live', [name, 1, '10', '11'], row)).rejects.toThrow(CheckpointMoved)
      await expect(write('live', [name, 1, '30', '31'], row)).rejects.toThrow(CheckpointMoved)
    })

    test('that begins again finds nothing of the last one, which cannot go on', async () => {
      const [name, row] = [newName(), thing()]
      await given().beginRebuild(name, tables)
      await write('next', [name, 1, null, '10'], row)
      await given().beginRebuild(name, tables)
      expect(await given().checkpoint(name, 1, 'next')).toBeNull()
      expect(await given().load(thingTable, [keyOf(row)], 'next')).toEqual([])
      await expect(write('next', [name, 1, '10', '20'], row)).rejects.toThrow(CheckpointMoved)
    })

    test('that is further than the live rows takes their place, for all shares', async () => {
      const [name, row] = [newName(), thing({ label: 'live' })]
      const share = (from: string | null, to: string, of: string) =>
        given().commit([{ name, version: 1, share: of, from, to }], [], 'live')
      await share(null, '7', 'a')
      await share(null, '15', 'b')
      await given().beginRebuild(name, tables)
      await write('next', [name, 1, null, '10'], { ...row, label: 'next' })
      expect(await swap(name, 1)).toBe(false)
      await write('next', [name, 1, '10', '20'], row)
      expect(await swap(name, 1)).toBe(true)
      expect(await given().stands(name, 1)).toEqual(new Map([['', '20']]))
      await expect(share('15', '18', 'b')).rejects.toThrow(CheckpointMoved)
      await share('20', '25', 'b')
      expect(await given().checkpoint(name, 1, 'live', 'b')).toBe('25')
      expect(await given().checkpoint(name, 1, 'live', 'a')).toBe('20')
    })

    test('that removes a row leaves the live one until it takes its place', async () => {
      const [name, row] = [newName(), thing({ label: 'live' })]
      const key = keyOf(row)
      await write('live', [name, 1, null, '10'], row)
      await given().beginRebuild(name, tables)
      await write('next', [name, 1, null, '5'], { ...row, label: 'next' })
      const removed = { table: thingTable, put: [], remove: [key] }
      await given().commit([{ name, version: 1, from: '5', to: '10' }], [removed], 'next')
      expect(await labelOf(key)).toBe('live')
      expect(await given().load(thingTable, [key], 'next')).toEqual([])
      expect(await swap(name, 1)).toBe(true)
      expect(await given().load(thingTable, [key], 'live')).toEqual([])
    })

    test('of what was never started makes it live', async () => {
      const [name, row] = [newName(), thing({ label: 'first' })]
      await given().beginRebuild(name, tables)
      await write('next', [name, 1, null, '10'], row)
      // Neither what is only being built stands anywhere, nor what has a longer name.
      await write('live', [`${name}_also`, 1, null, '3'], thing())
      expect(await given().stands(name, 1)).toEqual(new Map())
      expect(await swap(name, 1)).toBe(true)
      expect(await given().checkpoint(name, 1, 'live')).toBe('10')
      expect(await labelOf(keyOf(row))).toBe('first')
    })
  })
}
