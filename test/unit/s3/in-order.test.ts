import { expect, test } from '@jest/globals'
import { InOrder } from '../../../infra/s3/in-order.ts'

test('tasks of one name end in their order, also around one that fails early', async () => {
  const order = new InOrder()
  const ended: string[] = []
  let finishFirst = () => {}
  const first = new Promise<void>((resolve) => (finishFirst = resolve))
  const task = (what: string, work: Promise<void>) =>
    order.run('name', async (turn) => {
      await turn
      await work
      ended.push(what)
    })
  const all = [
    task('first', first),
    order.run('name', () => Promise.reject(new Error('early'))),
    task('third', Promise.resolve()),
    order.run('other', async () => ended.push('other')),
  ]
  await expect(all[1]).rejects.toThrow('early')
  await all[3]
  expect(ended).toEqual(['other'])
  finishFirst()
  await Promise.allSettled(all)
  expect(ended).toEqual(['other', 'first', 'third'])
})
