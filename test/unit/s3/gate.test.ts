import { expect, test } from '@jest/globals'
import { Gate } from '../../../infra/s3/gate.ts'

test('no more than the limit run at a time, and all have their turn', async () => {
  const gate = new Gate(3)
  let running = 0
  let most = 0
  const task = (at: number) => async () => {
    running += 1
    most = Math.max(most, running)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    if (at % 4 === 0) throw new Error(`task ${at}`)
    return at
  }
  const all = Array.from({ length: 20 }, (_, at) => gate.run(task(at)))
  const settled = await Promise.allSettled(all)
  expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(15)
  expect([most, running]).toEqual([3, 0])
  expect(await gate.run(async () => 'again')).toBe('again')
})
