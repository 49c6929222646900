import { expect, test } from '@jest/globals'
import { Turns } from '../../domain/turns.ts'

test('so many have their turn at the same time, the others in their order', async () => {
  const turns = new Turns(8)
  const begun: number[] = []
  const ends: (() => void)[] = []
  const all = Array.from({ length: 20 }, (_, number) =>
    turns.take(async () => {
      begun.push(number)
      await new Promise<void>((resolve) => ends.push(resolve))
      if (number === 3) throw new Error('it failed')
      return number
    }),
  )
  const settled = Promise.allSettled(all)
  for (let ended = 0; ended < 20; ended += 1) {
    await Promise.resolve()
    expect(begun.length).toBeLessThanOrEqual(ended + 8)
    while (ends.length <= ended) await Promise.resolve()
    ends[ended]?.()
  }
  expect(await settled).toHaveLength(20)
  expect(begun).toEqual(Array.from({ length: 20 }, (_, number) => number))
})

test('parties that wait take turns, however much each of them has', async () => {
  const turns = new Turns(1)
  const begun: string[] = []
  const take = (name: string) =>
    turns.take(
      async () => {
        begun.push(name)
      },
      name.slice(0, 1),
    )
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'].map(take)
  expect(turns.waiting).toBe(6)
  await Promise.all(all)
  expect(begun).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
  expect(turns.waiting).toBe(0)
  await take('d1')
  expect(begun.at(-1)).toBe('d1')
})
