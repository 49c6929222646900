/**
 * Time as the rest of weir sees it. Nothing outside infra/ asks the system: the simulator moves
 * this clock instead.
 */
export abstract class Clock {
  /** Milliseconds since the Unix epoch. */
  abstract now(): number

  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  abstract sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/**
 * Whether less than `ms` have passed between then and now. Before then, the machine's clock was set
 * back: nothing that is recent lasts until it is as late again.
 */
export function isRecent(thenMs: number, nowMs: number, ms: number): boolean {
  const ageMs = nowMs - thenMs
  return ageMs >= 0 && ageMs < ms
}

/** The first and the last time that events, Postgres and JavaScript write alike. */
export const firstTime = '0001-01-01T00:00:00.000Z'
export const lastTime = '9999-12-31T23:59:59.999Z'
const lastTimeMs = Date.parse(lastTime)

// Under load the same millisecond is asked for again and again.
let last = { ms: 0, text: '1970-01-01T00:00:00.000Z' }

/**
 * ISO 8601 with milliseconds, the form of every time in events and answers. What is counted from a
 * time ends with the last one: a year of five digits would sort before all others, and Postgres
 * takes it for none.
 */
export function isoTime(ms: number): string {
  if (ms !== last.ms) last = { ms, text: new Date(Math.min(ms, lastTimeMs)).toISOString() }
  return last.text
}
