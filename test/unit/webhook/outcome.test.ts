import { expect, test } from '@jest/globals'
import { outcomeOf } from '../../../domain/webhook/outcome.ts'
import type { WebhookAnswer } from '../../../domain/ports/webhook-transport.ts'

const first = { attempt: 1, nowMs: 1_000_000, random01: 0.5 }
const last = { ...first, attempt: 10 }
const answered = (httpStatus: number, retryAfter: string | null = null): WebhookAnswer => ({
  kind: 'answered',
  httpStatus,
  retryAfter,
})

test.each([200, 201, 202, 204, 299])('%i is delivered, also at the last attempt', (httpStatus) => {
  for (const attempt of [first, last]) {
    expect(outcomeOf(answered(httpStatus), attempt)).toEqual({
      kind: 'delivered',
      httpStatus,
      error: null,
    })
  }
})

test.each([0, 199, 300, 301, 304, 307, 308, 400, 401, 404, 409, 429, 500, 502, 503, 999])(
  '%i is tried again, and parked after the last attempt',
  (httpStatus) => {
    const failure = { httpStatus, error: `http_${httpStatus}` }
    const retry = { kind: 'retry', nextAttemptAtMs: 1_005_000, ...failure }
    expect(outcomeOf(answered(httpStatus), first)).toEqual(retry)
    expect(outcomeOf(answered(httpStatus), last)).toEqual({ kind: 'parked', ...failure })
  },
)

test('410 parks at the first attempt', () => {
  const parked = { kind: 'parked', httpStatus: 410, error: 'http_410' }
  expect(outcomeOf(answered(410), first)).toEqual(parked)
})

test('a withdrawn delivery is parked at the first attempt', () => {
  const parked = { kind: 'parked', httpStatus: null, error: 'endpoint_removed' }
  expect(outcomeOf({ kind: 'withdrawn', error: 'endpoint_removed' }, first)).toEqual(parked)
})

test('a receiver that cannot be reached is tried again, and parked after the last attempt', () => {
  const failed: WebhookAnswer = { kind: 'failed', error: 'connect_failed' }
  const failure = { httpStatus: null, error: 'connect_failed' }
  const retry = { kind: 'retry', nextAttemptAtMs: 1_005_000, ...failure }
  expect(outcomeOf(failed, first)).toEqual(retry)
  expect(outcomeOf(failed, last)).toEqual({ kind: 'parked', ...failure })
})

test('Retry-After of a failure is honoured', () => {
  expect(outcomeOf(answered(503, '60'), first)).toMatchObject({ nextAttemptAtMs: 1_060_000 })
})
