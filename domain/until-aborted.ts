/** What the promise gives; null when the signal aborts before, and then nobody hears of it. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      signal.removeEventListener('abort', leave)
      resolve(null)
    }
    signal.addEventListener('abort', leave)
    promise.then(resolve, reject).finally(leave)
    if (signal.aborted) leave()
  })
}
