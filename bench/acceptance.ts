import type { Client } from './client.ts'
import type { Stack } from './stack.ts'
import { quantile } from './statistics.ts'

export interface AcceptanceRun {
  readonly stack: string
  /** Among how many orgs the jobs are divided: one is a hot account. */
  readonly orgs: number
  readonly jobs: number
  readonly jobsPerSecond: number
  readonly requestMsP50: number
  readonly requestMsP99: number
}

/**
 * Accepts jobs that are not run now, one per request. Weir holds credits and writes the job to disk
 * before it answers; the peer only adds to its queue.
 */
export async function runAcceptance(
  stack: Stack,
  client: Client,
  options: { readonly jobs: number; readonly connections: number; readonly orgs: number },
): Promise<AcceptanceRun> {
  const orgs = stack.orgs.slice(0, options.orgs)
  const requestMs: number[] = []
  let left = options.jobs
  const connection = async (number: number): Promise<void> => {
    const org = orgs[number % orgs.length]
    while (org && left > 0) {
      left -= 1
      const sentMs = performance.now()
      await client.accept(org)
      requestMs.push(performance.now() - sentMs)
    }
  }
  const startedMs = performance.now()
  const connections = Array.from({ length: options.connections }, (_, number) => connection(number))
  await Promise.all(connections)
  const seconds = (performance.now() - startedMs) / 1000
  return {
    stack: stack.name,
    orgs: orgs.length,
    jobs: options.jobs,
    jobsPerSecond: options.jobs / seconds,
    requestMsP50: quantile(requestMs, 0.5),
    requestMsP99: quantile(requestMs, 0.99),
  }
}
