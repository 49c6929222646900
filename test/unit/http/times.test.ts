import { expect, test } from '@jest/globals'
import { deadlineAfter } from '../../../domain/job/job.ts'
import { isoTime, lastTime } from '../../../domain/ports/clock.ts'
import { runAtOf } from '../../../src/commands/job-request.ts'
import { endingTime, parseTime } from '../../../src/http/envelope.ts'
import { limitsOf } from '../../../src/http/limit-bodies.ts'
import { page, pageRequest } from '../../../src/http/paging.ts'

test.each([
  ['2026-01-31', '2026-01-31T00:00:00.000Z'],
  ['2024-02-29T10:00', '2024-02-29T10:00:00.000Z'],
  ['2026-01-31 09:00', '2026-01-31T09:00:00.000Z'],
  ['2026-01-31 09:00:00.5', '2026-01-31T09:00:00.500Z'],
  ['2026-01-31T09:00:00+02:00', '2026-01-31T07:00:00.000Z'],
  ['0001-01-01', '0001-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59.999Z', lastTime],
])('%s is a time', (text, at) => {
  expect(parseTime(text)).toBe(Date.parse(at))
})

// Postgres takes none of these, and a read model that cannot write a row stands still for all.
test.each([
  '0000-01-01',
  '0000-12-31T23:59:59Z',
  '0001-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '2026-02-31x',
  '2026-02-29',
  '2026-04-31T10:00:00Z',
  '2026-13-01',
  '2026-01-01T25:00:00Z',
])('%s is no time that can be stored', (text) => {
  expect(parseTime(text)).toBeNull()
})

test('what is counted from the last time ends with it', () => {
  expect(deadlineAfter('9999-12-31T23:59:59.000Z', 3_600)).toBe(lastTime)
  expect(isoTime(Date.parse(lastTime) + 1)).toBe(lastTime)
})

test('a cursor holds times only as a page writes them', () => {
  const at = '2026-01-31T09:00:00.000Z'
  const cursorOf = (time: string): string => {
    const request = { ...pageRequest({}, ['jobs']), limit: 1 }
    const { nextCursor } = page(
      [time, time],
      request,
      (row) => [row, 'id'],
      (row) => row,
    )
    return nextCursor ?? ''
  }
  expect(pageRequest({ cursor: cursorOf(at) }, ['jobs']).after).toEqual([at, 'id'])
  const hostile = { cursor: cursorOf('2026-01-31T09:00:00+23:59') }
  expect(() => pageRequest(hostile, ['jobs'])).toThrow('is not a cursor of this list')
})

test('a job may be put up to a hundred years ahead', () => {
  const now = Date.parse('2026-01-31T09:00:00.000Z')
  expect(runAtOf({}, now)).toBeNull()
  expect(runAtOf({ runAt: '2026-01-30' }, now)).toBeNull()
  expect(runAtOf({ runAt: '2100-01-01T09:00:00Z' }, now)).toBe('2100-01-01T09:00:00.000Z')
  expect(() => runAtOf({ runAt: '2126-03-01' }, now)).toThrow('within a hundred years')
  // With a deadline after it, this one ends in a year of five digits.
  expect(() => runAtOf({ runAt: '9999-12-31' }, now)).toThrow('/runAt')
})

test('what ends does so in the future', () => {
  const now = Date.parse('2026-01-31T09:00:00.000Z')
  const ending = { now, pointer: '/until' }
  expect(endingTime(null, ending)).toBeNull()
  expect(endingTime('2026-01-31T10:00:01+01:00', ending)).toBe('2026-01-31T09:00:01.000Z')
  expect(() => endingTime('2026-01-31T09:00:00Z', ending)).toThrow('/until: must be in the future')
  const limit = { scope: 'org', kind: 'concurrency', max: 1, until: '2026-01-30' } as const
  const limits = [{ ...limit, until: null }, limit]
  expect(() => limitsOf({ limits }, now)).toThrow('/limits/1/until: must be in the future')
})
