import { expect, test } from '@jest/globals'
import { MemoryReadModelStore } from '../../../infra/memory/read-model-store.ts'
import { defineTable } from '../../../projections/projection.ts'
import { CachedRows } from '../../../workers/cached-rows.ts'
import { Life } from '../../support/mortal.ts'

type Counted = { readonly id: string; readonly count: number }

const table = defineTable<Counted>({
  name: 'counted',
  key: 'id',
  columns: { id: 'text', count: 'int' },
  appendOnly: false,
})

function change(from: string | null, to: string, count: number) {
  const moves = [{ name: 'counts', version: 1, from, to }]
  return [moves, [{ table, put: [{ id: 'a', count }], remove: [] }]] as const
}

async function cachedAndMoved() {
  const store = new MemoryReadModelStore()
  const rows = new CachedRows(store)
  await rows.commit(...change(null, '1', 1), 'live')
  await store.commit(...change('1', '2', 2), 'live')
  return rows
}

test('a row is as new as the checkpoint that was read before it', async () => {
  const rows = await cachedAndMoved()

  expect(await rows.checkpoint('counts', 1, 'live')).toBe('2')

  expect(await rows.load(table, ['a'], 'live')).toEqual([{ id: 'a', count: 2 }])
})

test('a commit that lost against another writer empties the cache', async () => {
  const rows = await cachedAndMoved()

  await expect(rows.commit(...change('1', '2', 9), 'live')).rejects.toThrow('moved')

  await expect(rows.load(table, ['a'], 'live')).rejects.toThrow('moved')
  await rows.checkpoint('counts', 1, 'live')
  expect(await rows.load(table, ['a'], 'live')).toEqual([{ id: 'a', count: 2 }])
})

test('rows are there while they are written; others are read when that has ended', async () => {
  const store = new MemoryReadModelStore()
  const life = new Life()
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  const asked: string[] = []
  life.before = ({ method }) => {
    asked.push(method)
    return method === 'commit' ? gate : null
  }
  const rows = new CachedRows(life.port(store))
  const writing = rows.commit(...change(null, '1', 1), 'live')

  expect(await rows.load(table, ['a'], 'live')).toEqual([{ id: 'a', count: 1 }])
  const loading = rows.load(table, ['b'], 'live')
  expect(asked).toEqual(['commit'])
  open()
  await writing

  expect(await loading).toEqual([])
  expect(asked).toEqual(['commit', 'load'])
})
