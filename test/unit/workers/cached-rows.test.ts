import { expect, test } from '@jest/globals'
import { MemoryReadModelStore } from '../../../infra/memory/read-model-store.ts'
import { defineTable } from '../../../projections/projection.ts'
import { CachedRows } from '../../../workers/cached-rows.ts'

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

  expect(await rows.load(table, ['a'], 'live')).toEqual([{ id: 'a', count: 2 }])
})
