import { expect, test } from '@jest/globals'
import { DomainError } from '../../../domain/errors.ts'
import { MetaController } from '../../../src/http/meta.controller.ts'
import type { Runtime } from '../../../src/runtime.ts'

test('whoever asks at the same time whether weir is ready is answered from one look', async () => {
  let looks = 0
  let isAway = true
  const checkReady = async (): Promise<void> => {
    looks += 1
    await Promise.resolve()
    if (isAway) throw new DomainError('unavailable', 'The database does not answer.')
  }
  const controller = new MetaController({ checkReady } as unknown as Runtime)
  const ask = () => Promise.allSettled([controller.ready(), controller.ready(), controller.ready()])
  expect((await ask()).map(({ status }) => status)).toEqual(Array(3).fill('rejected'))
  expect(looks).toBe(1)
  isAway = false
  expect((await ask()).map(({ status }) => status)).toEqual(Array(3).fill('fulfilled'))
  expect(looks).toBe(2)
})
