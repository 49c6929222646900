import { readFileSync } from 'node:fs'
import { isRunning, parentOf, processIdentity } from './process-identity.ts'

/** The signal of the terminal and the same one passed on by npm arrive within milliseconds. */
const sameKeyPressMs = 300
const launcherPollMs = 500
const ancestorsMax = 6

/** Somebody wants weir to stop: by Ctrl-C, by a signal, by closing the terminal. */
export interface StopRequest {
  /** Aborted by the first request. */
  readonly gently: AbortSignal
  /** Aborted by a second Ctrl-C: at once, then. */
  readonly atOnce: AbortSignal
  dispose(): void
}

export function listenForStop(): StopRequest {
  const gently = new AbortController()
  const atOnce = new AbortController()
  let firstAt = Infinity
  const onSignal = (): void => {
    if (performance.now() - firstAt > sameKeyPressMs) return atOnce.abort()
    firstAt = Math.min(firstAt, performance.now())
    gently.abort()
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, onSignal)
  const stopWatching = watchNpm(() => gently.abort())
  return {
    gently: gently.signal,
    atOnce: atOnce.signal,
    dispose: () => {
      stopWatching()
      for (const signal of signals) process.off(signal, onSignal)
    },
  }
}

/**
 * `npm start` that is killed cannot pass that on; to whoever started it weir has ended then, and
 * their next `npm start` must not meet this one.
 */
function watchNpm(onGone: () => void): () => void {
  const identity = npmIdentity()
  if (identity === undefined) return () => undefined
  const timer = setInterval(() => {
    if (!isRunning(identity)) onGone()
  }, launcherPollMs)
  timer.unref()
  return () => clearInterval(timer)
}

function npmIdentity(): string | undefined {
  let pid: number | undefined = process.pid
  for (let steps = 0; steps < ancestorsMax && pid !== undefined; steps += 1) {
    pid = parentOf(pid)
    if (pid !== undefined && nameOf(pid).startsWith('npm')) return processIdentity(pid)
  }
  return undefined
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8')
  } catch {
    return ''
  }
}
