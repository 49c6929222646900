import { expect, test } from '@jest/globals'
import type { Ids } from '../../domain/ports/ids.ts'

const v7Pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const v5Pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** What every source of ids promises. */
export function idsContract(given: () => Ids): void {
  test('new ids are unique and ordered', () => {
    const ids = Array.from({ length: 5_000 }, () => given().next())
    expect(ids.every((id) => v7Pattern.test(id))).toBe(true)
    expect(new Set(ids).size).toBe(ids.length)
    expect([...ids].sort()).toEqual(ids)
  })

  test('the same cause gives the same id, in every process and release', () => {
    const id = given().derive('usage', 'job-1', 'call-2')
    expect(id).toMatch(v5Pattern)
    expect(id).toBe('fc8d3dd8-33ab-5e99-a4e6-1e11000d74ab')
  })

  test('other causes give other ids, however alike they look when joined', () => {
    const causes = [
      ['a', 'b'],
      ['ab'],
      ['a,b'],
      ['a', '', 'b'],
      ['b', 'a'],
      ['a","b'],
      ['a\0b'],
      [],
    ]
    const ids = causes.map((cause) => given().derive(...cause))
    expect(new Set(ids).size).toBe(causes.length)
  })

  test('random numbers are spread over [0, 1)', () => {
    const numbers = Array.from({ length: 5_000 }, () => given().random01())
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true)
    const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length
    expect(mean).toBeGreaterThan(0.45)
    expect(mean).toBeLessThan(0.55)
  })
}
