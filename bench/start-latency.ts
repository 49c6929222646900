import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client.ts'
import type { JobSignal, Stack } from './stack.ts'
import { quantile } from './statistics.ts'

const pauseMs = 20
const startMsMax = 10_000

export interface StartLatencyRun {
  readonly stack: string
  readonly samples: number
  /** From sending the submit until the push that says the handler runs, as the client sees it. */
  readonly startedMsP50: number
  readonly startedMsP99: number
  /** From sending the submit until the push that the job has succeeded. */
  readonly succeededMsP50: number
  readonly succeededMsP99: number
  readonly answeredMsP50: number
}

/**
 * One job at a time on an idle installation. What is measured contains the push, so the handler
 * starts earlier than these figures say; both stacks carry the same extra.
 */
export async function runStartLatency(
  stack: Stack,
  client: Client,
  signals: SignalTap,
  samples: number,
): Promise<StartLatencyRun> {
  const [org] = stack.orgs
  if (!org) throw new Error('no org')
  const answered: number[] = []
  const started: number[] = []
  const succeeded: number[] = []
  for (let sample = 0; sample < samples; sample++) {
    await delay(pauseMs)
    const heard = signals.next()
    const sentMs = performance.now()
    await client.submit(org)
    answered.push(performance.now() - sentMs)
    const at = await heard
    started.push(at.startedMs - sentMs)
    succeeded.push(at.succeededMs - sentMs)
  }
  return {
    stack: stack.name,
    samples,
    startedMsP50: quantile(started, 0.5),
    startedMsP99: quantile(started, 0.99),
    succeededMsP50: quantile(succeeded, 0.5),
    succeededMsP99: quantile(succeeded, 0.99),
    answeredMsP50: quantile(answered, 0.5),
  }
}

/** Hears one job's start and end; there is only one job at a time. */
export interface SignalTap {
  readonly onSignal: (signal: JobSignal) => void
  readonly next: () => Promise<{ startedMs: number; succeededMs: number }>
}

export function signalTap(): SignalTap {
  let hear: (signal: JobSignal) => void = () => undefined
  const next = (): Promise<{ startedMs: number; succeededMs: number }> =>
    new Promise((resolve, reject) => {
      let startedMs = Number.NaN
      const late = setTimeout(() => {
        reject(new Error(`a job was not pushed to its end within ${String(startMsMax)} ms`))
      }, startMsMax)
      hear = ({ kind }) => {
        if (kind === 'started') startedMs = performance.now()
        if (kind !== 'succeeded') return
        clearTimeout(late)
        if (Number.isNaN(startedMs)) reject(new Error('the start of a job was not pushed'))
        resolve({ startedMs, succeededMs: performance.now() })
      }
    })
  return {
    onSignal: (signal) => {
      hear(signal)
    },
    next,
  }
}
