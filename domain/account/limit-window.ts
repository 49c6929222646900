/** Windows of rate limits slide; those of quotas are the calendar's, in UTC. */
export type LimitWindow = 'second' | 'minute' | 'hour' | 'day' | 'month'
export type QuotaWindow = Extract<LimitWindow, 'day' | 'month'>

export const limitWindows: readonly LimitWindow[] = ['second', 'minute', 'hour', 'day', 'month']
export const quotaWindows: readonly QuotaWindow[] = ['day', 'month']

const dayMs = 86_400_000

/** Length of a sliding window, ms. A month is 30 days. */
export const windowMs: Readonly<Record<LimitWindow, number>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: dayMs,
  month: 30 * dayMs,
}

/** The first instant of the UTC day or month that a time lies in, ISO 8601. */
export function windowStart(window: QuotaWindow, at: string): string {
  const date = window === 'day' ? at.slice(0, 10) : `${at.slice(0, 7)}-01`
  return `${date}T00:00:00.000Z`
}

/** The first instant after the UTC day or month that a time lies in, ISO 8601. */
export function windowEnd(window: QuotaWindow, at: string): string {
  const start = new Date(windowStart(window, at))
  if (window === 'day') start.setUTCDate(start.getUTCDate() + 1)
  else start.setUTCMonth(start.getUTCMonth() + 1)
  return start.toISOString()
}
