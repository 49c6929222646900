import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expectStatus, type Client } from './client.ts'
import type { Weir } from './weir.ts'

const pauseMs = 50

/** Memory of weir's api process that is in use, bytes. */
export function apiMemory(weir: Weir): number {
  const status = readFileSync(`/proc/${weir.pids('api')[0] ?? 0}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN) * 1_024
}

/** How long an honest customer has to wait while something else goes on, ms: the longest time. */
export async function longestWaitDuring(api: Client, other: Promise<unknown>): Promise<number> {
  const over = new AbortController()
  const done = other.finally(() => over.abort())
  done.catch(() => undefined)
  let longest = 0
  while (!over.signal.aborted) {
    const startedAt = performance.now()
    expectStatus(await api.get('/v1/balance'), 200)
    longest = Math.max(longest, performance.now() - startedAt)
    await sleep(pauseMs)
  }
  await done
  return longest
}
