import type { JobSignal } from './stack.ts'

const stallMsMax = 30_000

/** Follows jobs from their submission to the push of their end. */
export interface Watch {
  readonly onSignal: (signal: JobSignal) => void
  /** From now on this job is waited for; its signals may have come before the answer did. */
  readonly expect: (jobId: string) => void
  /** Resolves once every expected job has succeeded; rejects when one fails or nothing moves. */
  readonly drained: () => Promise<void>
}

export function watch(): Watch {
  const waiting = new Set<string>()
  const early = new Set<string>()
  let failed: string | null = null
  let lastMoveMs = performance.now()
  let check = (): void => undefined
  const onSignal = ({ jobId, kind }: JobSignal): void => {
    if (kind === 'started') return
    lastMoveMs = performance.now()
    if (kind === 'failed') failed = jobId
    if (!waiting.delete(jobId)) early.add(jobId)
    check()
  }
  const expect = (jobId: string): void => {
    if (!early.delete(jobId)) waiting.add(jobId)
  }
  const drained = (): Promise<void> =>
    new Promise((resolve, reject) => {
      lastMoveMs = performance.now()
      const settle = (end: () => void): void => {
        clearInterval(timer)
        check = () => undefined
        end()
      }
      check = () => {
        const stalled = performance.now() - lastMoveMs > stallMsMax
        if (failed !== null) {
          settle(() => {
            reject(new Error(`job ${String(failed)} did not succeed`))
          })
        } else if (waiting.size === 0) settle(resolve)
        else if (stalled) {
          const [example] = waiting
          const what = `${String(waiting.size)} jobs, among them ${String(example)}`
          settle(() => {
            reject(new Error(`no push within ${String(stallMsMax)} ms for ${what}`))
          })
        }
      }
      const timer = setInterval(() => {
        check()
      }, 1000)
      check()
    })
  return { onSignal, expect, drained }
}
