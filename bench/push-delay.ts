import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client.ts'
import type { JobSignal, Stack } from './stack.ts'
import { stackCpu } from './stack-cpu.ts'
import { quantile } from './statistics.ts'
import type { Watch } from './watch.ts'

/** Submits go out in groups this far apart, ms. */
const beatMs = 20

export interface PushDelayRun {
  readonly stack: string
  /** As sent: the run is void when the stack did not keep up. */
  readonly jobsPerSecond: number
  /** From the time that an event carries until a subscribed socket hears it; null without one. */
  readonly pushedMsP50: number | null
  readonly pushedMsP99: number | null
  /** From sending the submit until the push of the job's end. */
  readonly succeededMsP50: number
  readonly succeededMsP99: number
  /** CPU time of the whole stack for one job, ms: less is done together than at full speed. */
  readonly cpuMsPerJob: number
}

/** A steady load that leaves the stack room: how late what happens is heard. */
export async function runPushDelay(
  stack: Stack,
  client: Client,
  { watched, heard }: { readonly watched: Watch; readonly heard: Heard },
  { jobsPerSecond, seconds }: { readonly jobsPerSecond: number; readonly seconds: number },
): Promise<PushDelayRun> {
  const perBeat = Math.max(Math.round((jobsPerSecond * beatMs) / 1_000), 1)
  const beats = Math.max(Math.round((seconds * 1_000) / beatMs), 1)
  const sent: Promise<void>[] = []
  heard.begin()
  const cpuBefore = secondsOf(stack)
  const startedMs = performance.now()
  for (let beat = 0; beat < beats; beat++) {
    for (let job = 0; job < perBeat; job++) {
      const org = stack.orgs[sent.length % stack.orgs.length]
      if (!org) throw new Error('no org')
      const sentMs = performance.now()
      sent.push(
        client.submit(org).then((jobId) => {
          watched.expect(jobId)
          heard.sent(jobId, sentMs)
        }),
      )
    }
    await delay(Math.max(startedMs + (beat + 1) * beatMs - performance.now(), 0))
  }
  await Promise.all(sent)
  const sentSeconds = (performance.now() - startedMs) / 1_000
  await watched.drained()
  const { pushed, succeeded } = heard.end()
  const of = (values: readonly number[], part: number): number | null =>
    values.length === 0 ? null : quantile([...values], part)
  return {
    stack: stack.name,
    jobsPerSecond: sent.length / sentSeconds,
    pushedMsP50: of(pushed, 0.5),
    pushedMsP99: of(pushed, 0.99),
    succeededMsP50: of(succeeded, 0.5) ?? Number.NaN,
    succeededMsP99: of(succeeded, 0.99) ?? Number.NaN,
    cpuMsPerJob: ((secondsOf(stack) - cpuBefore) * 1_000) / sent.length,
  }
}

function secondsOf(stack: Stack): number {
  return [...stackCpu(stack).values()].reduce((sum, seconds) => sum + seconds, 0)
}

/** What sockets hear, with the time at which they hear it. */
export class Heard {
  #pushed: number[] = []
  readonly #endedMs = new Map<string, number>()
  readonly #sentMs = new Map<string, number>()

  readonly onSignal = ({ jobId, kind, atMs }: JobSignal): void => {
    if (atMs !== undefined) this.#pushed.push(Date.now() - atMs)
    if (kind === 'succeeded') this.#endedMs.set(jobId, performance.now())
  }

  begin(): void {
    this.#pushed = []
    this.#endedMs.clear()
    this.#sentMs.clear()
  }

  sent(jobId: string, sentMs: number): void {
    this.#sentMs.set(jobId, sentMs)
  }

  end(): { readonly pushed: readonly number[]; readonly succeeded: readonly number[] } {
    const succeeded = [...this.#sentMs].map(
      ([jobId, sentMs]) => (this.#endedMs.get(jobId) ?? Number.NaN) - sentMs,
    )
    return { pushed: this.#pushed, succeeded }
  }
}
