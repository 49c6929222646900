import { expect, test } from '@jest/globals'
import { Batcher, type BatcherOptions } from '../../infra/batcher.ts'

/** A batcher whose batches end when the test says so. */
function controlled(options: Omit<BatcherOptions<number>, 'run'>) {
  const batches: (readonly number[])[] = []
  const endings: (() => void)[] = []
  const batcher = new Batcher<number>({
    ...options,
    run: (batch) => {
      batches.push(batch)
      return new Promise((resolve) => endings.push(resolve))
    },
  })
  const endFirst = async (): Promise<void> => {
    endings.shift()?.()
    await turn()
  }
  return { batcher, batches, endFirst }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('what arrives within a tick goes together, in its order', async () => {
  const { batcher, batches } = controlled({ inFlightMax: 1, batchMax: 10 })
  for (const item of [1, 2, 3]) batcher.add(item)
  expect(batches).toEqual([])
  await turn()
  expect(batches).toEqual([[1, 2, 3]])
})

test('what arrives while batches are in flight forms the next one', async () => {
  const { batcher, batches, endFirst } = controlled({ inFlightMax: 2, batchMax: 10 })
  for (const item of [1, 2]) {
    batcher.add(item)
    await turn()
  }
  for (const item of [3, 4, 5]) {
    batcher.add(item)
    await turn()
  }
  expect(batches).toEqual([[1], [2]])
  await endFirst()
  expect(batches).toEqual([[1], [2], [3, 4, 5]])
})

test('a batch takes no more than its limit', async () => {
  const { batcher, batches, endFirst } = controlled({ inFlightMax: 1, batchMax: 2 })
  for (const item of [1, 2, 3]) batcher.add(item)
  await turn()
  await endFirst()
  expect(batches).toEqual([[1, 2], [3]])
})

test('what a selection leaves out waits for a later batch', async () => {
  const { batcher, batches, endFirst } = controlled({
    inFlightMax: 1,
    batchMax: 10,
    selection: () => {
      const taken = new Set<number>()
      return (item) => {
        if (taken.has(item % 10)) return false
        taken.add(item % 10)
        return true
      }
    },
  })
  for (const item of [1, 11, 2, 21, 12]) batcher.add(item)
  await turn()
  await endFirst()
  await endFirst()
  expect(batches).toEqual([[1, 2], [11, 12], [21]])
})
