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
