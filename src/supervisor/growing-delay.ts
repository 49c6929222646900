const delayMsMin = 100
const delayMsMax = 5_000
const healthyMs = 10_000

/** How long to wait before something that ended is started again: 0.1 s, doubling up to 5 s. */
export interface GrowingDelay {
  /** @param ranMs how long it had run; from 10 s on the delay begins anew */
  nextMs(ranMs: number): number
}

export function growingDelay(): GrowingDelay {
  let delayMs = delayMsMin
  return {
    nextMs: (ranMs) => {
      if (ranMs >= healthyMs) delayMs = delayMsMin
      const nowMs = delayMs
      delayMs = Math.min(delayMs * 2, delayMsMax)
      return nowMs
    },
  }
}
