import { assert } from '../assert.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs

// The schedule of Svix, whose customers know it: some three days, so that a weekend's outage heals
// by itself. The first entry is the delivery itself.
const delaysMs: readonly number[] = [
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
]

// Receivers that fail together must not be called again together.
const jitterShare = 0.1
const retryAfterMsMax = 24 * hourMs

/**
 * How long to wait before the next attempt.
 *
 * @param attempt how many attempts are over: 0 before the first
 * @param random01 uniform in [0, 1): moves the delay by up to a tenth in both directions
 * @param retryAfterSeconds what the receiver asked for; it can lengthen the delay, up to a day
 * @returns ms, or `park` when the schedule is used up
 */
export function nextAttemptDelayMs(
  attempt: number,
  random01: number,
  retryAfterSeconds = 0,
): number | 'park' {
  assert(Number.isInteger(attempt) && attempt >= 0, 'attempts are counted from 0')
  const delayMs = delaysMs[attempt]
  if (delayMs === undefined) return 'park'
  const jittered = Math.round(delayMs * (1 + jitterShare * (2 * random01 - 1)))
  return Math.max(jittered, Math.min(retryAfterSeconds * secondMs, retryAfterMsMax))
}

/**
 * Reads `Retry-After` (RFC 9110 §10.2.3): whole seconds, or an HTTP date.
 *
 * @returns seconds from `nowMs`, 0 or more; undefined when there is none or it cannot be read
 */
export function retryAfterSeconds(value: string | null, nowMs: number): number | undefined {
  const text = value?.trim() ?? ''
  if (/^\d{1,10}$/.test(text)) return Number(text)
  // A date names its weekday; Date.parse alone would read almost anything as one.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? undefined : Math.max(0, Math.ceil((atMs - nowMs) / secondMs))
}
