import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { nextAttemptDelayMs, retryAfterSeconds } from '../../../domain/webhook/retry-schedule.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const nowMs = Date.UTC(2026, 0, 1)

test('waits 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, then parks', () => {
  const delays = Array.from({ length: 12 }, (_, attempt) => nextAttemptDelayMs(attempt, 0.5))
  expect(delays).toEqual([
    0,
    5 * secondMs,
    5 * minuteMs,
    30 * minuteMs,
    2 * hourMs,
    5 * hourMs,
    10 * hourMs,
    14 * hourMs,
    20 * hourMs,
    24 * hourMs,
    'park',
    'park',
  ])
})

test('jitter moves a delay by a tenth at most, and the first attempt not at all', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 9 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, random01) => {
        const middle = Number(nextAttemptDelayMs(attempt, 0.5))
        const delay = Number(nextAttemptDelayMs(attempt, random01))
        expect(Math.abs(delay - middle)).toBeLessThanOrEqual(middle / 10 + 1)
      },
    ),
  )
  expect(nextAttemptDelayMs(1, 0)).toBe(4_500)
})

test('Retry-After lengthens a delay, never shortens it, and by no more than a day', () => {
  expect(nextAttemptDelayMs(1, 0.5, 120)).toBe(120 * secondMs)
  expect(nextAttemptDelayMs(2, 0.5, 120)).toBe(5 * minuteMs)
  expect(nextAttemptDelayMs(1, 0.5, 9_999_999)).toBe(24 * hourMs)
  expect(nextAttemptDelayMs(10, 0.5, 120)).toBe('park')
})

test.each([
  ['120', 120],
  [' 0 ', 0],
  ['Thu, 01 Jan 2026 00:01:30 GMT', 90],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  [null, undefined],
  ['', undefined],
  ['-5', undefined],
  ['1.5', undefined],
  ['soon', undefined],
  ['Thursday', undefined],
  ['2026-01-01', undefined],
  ['99999999999', undefined],
])('reads Retry-After %j as %j seconds', (value, seconds) => {
  expect(retryAfterSeconds(value, nowMs)).toBe(seconds)
})

test('refuses to count attempts from below zero', () => {
  expect(() => nextAttemptDelayMs(-1, 0.5)).toThrow('attempts are counted from 0')
})
