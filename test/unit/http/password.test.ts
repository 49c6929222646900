import { stat } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { isPassword, passwordHash } from '../../../src/http/password.ts'

const salt = new Uint8Array(16).fill(7)

test('a password is known by its hash, and another is not', async () => {
  const hash = await passwordHash('correct horse', salt)
  expect(hash).toMatch(/^scrypt\$32768\$8\$3\$[\w-]{22}\$[\w-]{43}$/)
  expect(await isPassword('correct horse', hash)).toBe(true)
  expect(await isPassword('correct horsf', hash)).toBe(false)
  expect(await isPassword('', hash)).toBe(false)
})

test('the same letters are the same password, however they are composed', async () => {
  const hash = await passwordHash('caf\u00e9', salt)
  expect(await isPassword('cafe\u0301', hash)).toBe(true)
})

test('another salt makes another hash', async () => {
  const other = new Uint8Array(16).fill(8)
  expect(await passwordHash('x', salt)).not.toBe(await passwordHash('x', other))
})

test('nobody has a password, and to say so takes as long as for anybody', async () => {
  const hash = await passwordHash('x', salt)
  const cpuOf = async (kept: string | null) => {
    const before = process.cpuUsage()
    expect(await isPassword('y', kept)).toBe(false)
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  const [known, unknown] = [await cpuOf(hash), await cpuOf(null)]
  expect(unknown).toBeGreaterThan(known / 3)
})

test('many tries at a time leave room for others, and too many are turned away', async () => {
  const order: string[] = []
  const tries = Array.from({ length: 14 }, async () => {
    const isIt = await isPassword('x', null)
    order.push('try')
    return isIt
  })
  const settled = Promise.allSettled(tries)
  await stat('.')
  order.push('file')
  expect(order).toEqual(['file'])
  const results = await settled
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(12)
  const refused = results.filter((result) => result.status === 'rejected')
  expect(refused.map(({ reason }) => reason as unknown)).toEqual(
    Array(2).fill(expect.objectContaining({ code: 'unavailable' })),
  )
})
