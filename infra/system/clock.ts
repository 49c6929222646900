import { Clock } from '../../domain/ports/clock.ts'

/** What a timer takes; one that is longer fires at once. */
const timerMsMax = 2 ** 31 - 1

/** The time of the machine. */
export class SystemClock extends Clock {
  override now(): number {
    return Date.now()
  }

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    let restMs = Math.max(ms, 0)
    do {
      await timer(Math.min(restMs, timerMsMax), signal)
      restMs -= timerMsMax
    } while (restMs > 0 && !signal?.aborted)
  }
}

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = (): void => {
      clearTimeout(handle)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const handle = setTimeout(done, ms)
    signal?.addEventListener('abort', done)
  })
}
