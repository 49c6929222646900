import { expect, test } from '@jest/globals'
import {
  RequestBudget,
  SocketsByOrg,
  socketsOfOrgMax,
  Unread,
} from '../../../src/realtime/socket-limits.ts'

function takenAtOnce(budget: RequestBudget, nowMs: number): number {
  let taken = 0
  while (budget.take(nowMs)) taken += 1
  return taken
}

test('a socket may ask much at once, and then as fast as its budget fills up', () => {
  const budget = new RequestBudget(0)
  expect(takenAtOnce(budget, 0)).toBe(1_500)
  expect(takenAtOnce(budget, 100)).toBe(5)
  expect(takenAtOnce(budget, 1_100)).toBe(50)
  expect(takenAtOnce(budget, 1_000_000)).toBe(1_500)
  // A clock that was set back gives nothing.
  expect(takenAtOnce(budget, 0)).toBe(0)
})

test('only who goes on after hundreds of refusals abuses', () => {
  const budget = new RequestBudget(0)
  takenAtOnce(budget, 0)
  for (let refused = 0; refused < 499; refused += 1) budget.take(0)
  expect(budget.isAbused).toBe(false)
  budget.take(0)
  expect(budget.isAbused).toBe(true)
  expect(budget.take(1_000)).toBe(true)
  expect(budget.isAbused).toBe(false)
})

test('a flood that takes a while is abuse too, though some of it is let through', () => {
  const budget = new RequestBudget(0)
  takenAtOnce(budget, 0)
  let passed = 0
  for (let ms = 0; ms < 1_000; ms += 1) if (budget.take(ms)) passed += 1
  expect(passed).toBeGreaterThan(40)
  expect(budget.isAbused).toBe(true)
})

test('a client that does not read is told from one that does', () => {
  const unread = new Unread()
  const many = Array.from({ length: 5_000 }, () => unread.add())
  expect(many).not.toContain(false)
  expect(unread.add()).toBe(false)
  unread.clear()
  expect(unread.add()).toBe(true)
})

test('a client is cut off by what waits for it in bytes, too', () => {
  const unread = new Unread()
  expect(unread.add()).toBe(true)
  unread.grow(8_000_000)
  expect(unread.add()).toBe(true)
  unread.grow(1)
  expect(unread.add()).toBe(false)
  unread.clear()
  expect(unread.add()).toBe(true)
})

test('who waits for what is unread goes on when it has left', async () => {
  const unread = new Unread()
  await unread.left()
  unread.add()
  let hasGoneOn = false
  const goesOn = unread.left().then(() => (hasGoneOn = true))
  await new Promise(setImmediate)
  expect(hasGoneOn).toBe(false)
  unread.clear()
  await goesOn
})

test('sockets are counted by org', () => {
  const sockets = new SocketsByOrg()
  for (let open = 0; open < socketsOfOrgMax; open += 1) sockets.opened('a')
  expect([sockets.hasRoom('a'), sockets.hasRoom('b')]).toEqual([false, true])
  sockets.closed('a')
  expect(sockets.hasRoom('a')).toBe(true)
  for (let left = socketsOfOrgMax - 1; left > 1; left -= 1) sockets.closed('a')
  for (let open = 1; open < socketsOfOrgMax; open += 1) sockets.opened('a')
  expect(sockets.hasRoom('a')).toBe(false)
})
