import { expect, test } from '@jest/globals'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { SimulatedIds } from '../../infra/simulated/ids.ts'
import { idsContract } from './ids.contract.ts'

const ids = new SimulatedIds(1, new SimulatedClock())

idsContract(() => ids)

test('the same seed gives the same sequence, another seed another one', () => {
  const sequence = (seed: number): (string | number)[] => {
    const source = new SimulatedIds(seed, new SimulatedClock())
    return [source.next(), source.random01(), source.next()]
  }
  expect(sequence(7)).toEqual(sequence(7))
  expect(sequence(7)).not.toEqual(sequence(8))
})
