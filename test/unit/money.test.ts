import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  divideHalfEven,
  divideUp,
  formatPico,
  maximum,
  minimum,
  parseInteger,
  parsePico,
  storedAmount,
} from '../../domain/pricing/money.ts'

const pico = 10n ** 12n
const exact = fc.bigInt(0n, 10n ** 40n)
const divisor = fc.bigInt(1n, 10n ** 15n)
const signed = fc.bigInt(-(10n ** 28n), 10n ** 28n)

describe('an amount in an event', () => {
  test('is read as it was written', () => {
    fc.assert(fc.property(signed, (n) => storedAmount(n.toString()) === n))
  })
  const wrong = [
    '',
    ' 1',
    '1 ',
    '1\n',
    '+1',
    '01',
    '1.0',
    '1e3',
    '0x10',
    '1_000',
    'NaN',
    '٣',
    '--1',
  ]
  test.each([...wrong, '9'.repeat(31), 1, 1n, null, undefined, {}])('is not %p', (text) => {
    expect(parseInteger(text)).toBeNull()
  })
  test('that is damaged stops the process', () => {
    expect(() => storedAmount('1.5')).toThrow('not an amount')
  })
})

describe('a price', () => {
  const cases = [
    ['0', 0n],
    ['1', pico],
    ['0.00000003', 30_000n],
    ['0.000000000001', 1n],
    ['000.5', pico / 2n],
    ['999999999999999.999999999999', 10n ** 27n - 1n],
  ] as const
  test.each(cases)('of %s is read without a float', (text, expected) => {
    expect(parsePico(text)).toBe(expected)
  })
  // In floating point 3e-8 × 10¹² is 29999.999999999996.
  const wrong = ['3e-8', '', '.5', '5.', '-1', '+1', '1,5', ' 1', '1\n', 'Infinity', '0x1', '1.2.3']
  const tooFine = ['0.0000000000001', '1'.repeat(16)]
  test.each([...wrong, ...tooFine, 3e-8, 1, 1n, null, undefined])('is not %p', (text) => {
    expect(parsePico(text)).toBeNull()
  })
  test('is the digits that were written, shifted by twelve places', () => {
    const digits = (min: number, max: number) =>
      fc
        .array(fc.integer({ min: 0, max: 9 }), { minLength: min, maxLength: max })
        .map((all) => all.join(''))
    fc.assert(
      fc.property(digits(1, 15), digits(1, 12), (whole, places) => {
        const scale = 10n ** BigInt(places.length)
        const parsed = parsePico(`${whole}.${places}`)
        expect(parsed! * scale).toBe(BigInt(whole + places) * pico)
      }),
    )
  })
  test('is written so that it is read again', () => {
    fc.assert(fc.property(fc.bigInt(0n, 10n ** 27n - 1n), (n) => parsePico(formatPico(n)) === n))
    expect([formatPico(30_000n), formatPico(2n * pico)]).toEqual(['0.00000003', '2'])
  })
})

describe('a division', () => {
  test('up is the smallest integer that is not below the fraction, and keeps the rest', () => {
    fc.assert(
      fc.property(exact, divisor, (n, d) => {
        const { value, remainder } = divideUp(n, d)
        expect(value * d >= n && (value - 1n) * d < n).toBe(true)
        expect(value * d + remainder).toBe(n)
        expect(remainder <= 0n && remainder > -d).toBe(true)
      }),
    )
  })
  test('half-even is the nearest integer, the even one of two, and keeps the rest', () => {
    fc.assert(
      fc.property(exact, divisor, (n, d) => {
        const { value, remainder } = divideHalfEven(n, d)
        const distance = remainder < 0n ? -remainder : remainder
        expect(value * d + remainder).toBe(n)
        expect(distance * 2n <= d).toBe(true)
        if (distance * 2n === d) expect(value % 2n).toBe(0n)
      }),
    )
  })
  test.each([
    [0n, 0n],
    [499n, 0n],
    [500n, 0n],
    [501n, 1n],
    [1500n, 2n],
    [2500n, 2n],
    [2501n, 3n],
  ])('half-even of %s by 1000 is %s', (n, expected) => {
    expect(divideHalfEven(n, 1_000n).value).toBe(expected)
  })
  test('does not drift over many halves: their errors cancel out', () => {
    const halves = Array.from({ length: 1_000 }, (_, index) => BigInt(index) * 10n + 5n)
    const sum = halves.reduce((total, half) => total + divideHalfEven(half, 10n).value, 0n)
    expect(sum * 10n).toBe(halves.reduce((total, half) => total + half, 0n))
  })
})

test('minimum and maximum', () => {
  expect([minimum(1n, 2n), minimum(2n, 1n), maximum(1n, 2n), maximum(2n, 1n)]).toEqual([
    1n,
    1n,
    2n,
    2n,
  ])
})
