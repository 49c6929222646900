/** What the SDK takes from the world around it. `WeirOptions` may replace any of it. */
export type Edge = {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number
  /** Resolves after `ms`, or when the signal aborts. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  /** A signal that aborts after `ms`. */
  readonly timeout: (ms: number) => AbortSignal
  /** From 0 to below 1. */
  readonly random: () => number
  /** A new Idempotency-Key. */
  readonly newKey: () => string
}

const keyBytes = 16

/** The platform as it is: Node 20, a browser, a worker. */
export const platform: Edge = {
  fetch: (url, init) => globalThis.fetch(url, init),
  now: () => performance.now(),
  sleep,
  timeout: (ms) => AbortSignal.timeout(ms),
  random: () => Math.random(),
  newKey,
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end)
  })
}

/** Not `randomUUID`, which pages served over plain http do not have. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(keyBytes))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
