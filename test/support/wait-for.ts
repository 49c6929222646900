import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Polls `probe` until it gives something other than `undefined`, `null` or `false`, and returns
 * that. Prefer a real signal (an event, a promise) where there is one.
 *
 * @param what what is awaited, for the error: "the job to finish"
 * @param limitMs after this long it throws, naming `what` and the last value seen
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = 20_000,
): Promise<Exclude<T, undefined | null | false>> {
  const until = performance.now() + limitMs
  for (;;) {
    const value = await probe()
    if (isThere(value)) return value
    if (performance.now() > until) {
      throw new Error(`Waited ${limitMs} ms for ${what}; last seen: ${String(value)}`)
    }
    await sleep(10)
  }
}

function isThere<T>(value: T): value is Exclude<T, undefined | null | false> {
  return value !== undefined && value !== null && value !== false
}
