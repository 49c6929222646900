import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { JobEvent } from '../../../client/contract.ts'
import { Sequence } from '../../../client/sequence.ts'

const event = (revision: number) => ({ revision }) as JobEvent

function drain(sequence: Sequence): number[] {
  const taken: number[] = []
  for (let next = sequence.next(); next !== undefined; next = sequence.next()) {
    taken.push(next.revision)
  }
  return taken
}

test('whatever comes twice, late or out of order is given once, in order', () => {
  const length = 20
  const deliveries = fc.array(fc.array(fc.integer({ min: 0, max: length - 1 })))
  fc.assert(
    fc.property(deliveries, fc.integer({ min: -1, max: length - 1 }), (batches, after) => {
      const sequence = new Sequence(after)
      const taken: number[] = []
      for (const batch of batches) {
        sequence.add(batch.map(event))
        taken.push(...drain(sequence))
      }
      expect(taken).toEqual(taken.map((_, index) => after + 1 + index))
      // The whole list closes every hole.
      sequence.add(Array.from({ length }, (_, revision) => event(revision)))
      taken.push(...drain(sequence))
      expect(taken).toEqual(Array.from({ length: length - 1 - after }, (_, i) => after + 1 + i))
      expect(sequence.hasHole).toBe(false)
    }),
  )
})

test('what lies ahead of a hole waits, and says that there is one', () => {
  const sequence = new Sequence(4)
  sequence.add([event(7), event(6)])
  expect(drain(sequence)).toEqual([])
  expect(sequence.hasHole).toBe(true)
  expect(sequence.size).toBe(2)
  sequence.add([event(5)])
  expect(drain(sequence)).toEqual([5, 6, 7])
  expect(sequence.hasHole).toBe(false)
  expect(sequence.last).toBe(7)
})

test('after a restart it goes on behind the new revision', () => {
  const sequence = new Sequence(500)
  sequence.add([event(502)])
  sequence.restart(3)
  expect(sequence.hasHole).toBe(false)
  sequence.add([event(4)])
  expect(drain(sequence)).toEqual([4])
})
