import { setTimeout as sleep } from 'node:timers/promises'

const pollMsMin = 10
/** So that what a test waits for is not held up by the asking: a probe is often a request. */
const pollMsMax = 50
/** A wait gets longer by this part of itself at most. */
const pollShare = 1 / 20

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
  const from = performance.now()
  for (;;) {
    const value = await probe()
    if (isThere(value)) return value
    const waitedMs = performance.now() - from
    if (waitedMs > limitMs) {
      throw new Error(`Waited ${limitMs} ms for ${what}; last seen: ${String(value)}`)
    }
    await sleep(Math.min(Math.max(waitedMs * pollShare, pollMsMin), pollMsMax))
  }
}

function isThere<T>(value: T): value is Exclude<T, undefined | null | false> {
  return value !== undefined && value !== null && value !== false
}
