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

/** ISO 8601 with milliseconds, the form of every time in events and answers. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
