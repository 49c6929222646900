import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  webhookBody,
  webhookBodyBytesMax,
  type WebhookEvent,
} from '../../../domain/webhook/payload.ts'

const event = (data: Partial<WebhookEvent['data']> = {}): WebhookEvent => ({
  type: 'job.failed',
  timestamp: '2026-01-01T00:00:00.000Z',
  data: {
    jobId: 'j1',
    type: 'image.upscale',
    status: 'failed',
    progress: 40,
    resultUrl: null,
    error: { code: 'sandbox_failure', message: 'It broke.', retryable: false },
    sequence: 7,
    userId: 'u1',
    metadata: { order: '42' },
    ...data,
  },
})

const bytes = (text: string) => Buffer.byteLength(text)

test('a body holds the event as the contract writes it', () => {
  expect(JSON.parse(webhookBody(event()))).toEqual(event())
})

test('metadata goes first when a body is too large', () => {
  const body = webhookBody(event({ metadata: { note: 'x'.repeat(webhookBodyBytesMax) } }))
  const whole = event()
  expect(JSON.parse(body)).toStrictEqual({
    type: whole.type,
    timestamp: whole.timestamp,
    data: Object.fromEntries(Object.entries(whole.data).filter(([name]) => name !== 'metadata')),
  })
})

test('then the error message loses its end', () => {
  const error = { code: 'c', message: `Begin ${'é'.repeat(30_000)}`, retryable: true }
  const parsed: WebhookEvent = JSON.parse(webhookBody(event({ error })))
  expect(parsed.data.error).toMatchObject({ code: 'c', retryable: true })
  expect(parsed.data.error?.message).toMatch(/^Begin é{9000,}…$/)
  expect(parsed.data.jobId).toBe('j1')
})

test('every body is JSON of at most 20 KB, whatever is in it', () => {
  const text = fc.string({ unit: 'binary', maxLength: 200 })
  const long = fc.tuple(text, fc.integer({ min: 1, max: 300 })).map(([part, n]) => part.repeat(n))
  fc.assert(
    fc.property(long, long, (message, note) => {
      const error = { code: 'c', message, retryable: false }
      const body = webhookBody(event({ error, metadata: { note } }))
      expect(bytes(body)).toBeLessThanOrEqual(webhookBodyBytesMax)
      const parsed: WebhookEvent = JSON.parse(body)
      expect(parsed.data.sequence).toBe(7)
    }),
    { numRuns: 50 },
  )
})

test('a character is never cut in half', () => {
  const error = { code: 'c', message: '😀'.repeat(10_000), retryable: false }
  const parsed: WebhookEvent = JSON.parse(webhookBody(event({ error })))
  expect(parsed.data.error?.message).toMatch(/^(😀){4500,}…$/u)
})
