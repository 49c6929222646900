import { expect, test } from '@jest/globals'
import { deadlineAfter } from '../../../domain/job/job.ts'
import { isoTime, lastTime } from '../../../domain/ports/clock.ts'
import { parseTime } from '../../../src/http/envelope.ts'

const shown = (text: string): string | null => {
  const ms = parseTime(text)
  return ms === null ? null : isoTime(ms)
}

test('a time is read in the zone that it names, and without one as UTC', () => {
  expect(shown('2026-01-31T09:00:00+01:00')).toBe('2026-01-31T08:00:00.000Z')
  expect(shown('2026-01-31 09:00')).toBe('2026-01-31T09:00:00.000Z')
  expect(shown('2026-01-31')).toBe('2026-01-31T00:00:00.000Z')
  expect(shown('2026-02-31x')).toBeNull()
})

test('a year of fewer or more than four digits is no time, whatever the zone makes of it', () => {
  expect(shown('0001-01-01')).toBe('0001-01-01T00:00:00.000Z')
  expect(shown('9999-12-31T23:59:59.999Z')).toBe(lastTime)
  expect(shown('0000-12-31T23:59:59Z')).toBeNull()
  expect(shown('0001-01-01T00:00:00+01:00')).toBeNull()
  expect(shown('9999-12-31T23:59:59-05:00')).toBeNull()
})

test('what is counted from the last time ends with it', () => {
  expect(deadlineAfter('9999-12-31T23:59:59.000Z', 3_600)).toBe(lastTime)
  expect(isoTime(Date.parse(lastTime) + 1)).toBe(lastTime)
})
