import { setTimeout as sleep } from 'node:timers/promises'
import { TestEnvironment } from 'jest-environment-node'
import type { Circus } from '@jest/types'
import type { Worker } from 'node:worker_threads'

const graceMs = 5_000
const pollMs = 20

// What keeps a process alive and is never jest's own business. Files being read, DNS look-ups and
// the like end by themselves and are not listed.
const watchedKinds = new Set([
  'FSEventWrap',
  'MessagePort',
  'PipeWrap',
  'ProcessWrap',
  'TCPServerWrap',
  'TCPSocketWrap',
  'Timeout',
  'UDPWrap',
])

function countResources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (watchedKinds.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  if (liveWorkers.size > 0) counts.set('Worker', liveWorkers.size)
  return counts
}

/** Worker threads are not among Node's active resources; the process reports each new one. */
const liveWorkers = new Set<Worker>()
process.on('worker', (worker) => {
  liveWorkers.add(worker)
  worker.once('exit', () => liveWorkers.delete(worker))
})

function leaksSince(before: ReadonlyMap<string, number>): string[] {
  return [...countResources()]
    .map(([kind, count]) => ({ kind, extra: count - (before.get(kind) ?? 0) }))
    .filter(({ extra }) => extra > 0)
    .map(({ kind, extra }) => `${extra} × ${kind}`)
}

function hasFailed({ children }: Circus.DescribeBlock): boolean {
  return children.some((child) =>
    child.type === 'test' ? child.errors.length > 0 : hasFailed(child),
  )
}

/**
 * Node's test environment, plus one rule: what a test file opens, it closes. A connection, timer,
 * server, child process or worker thread that still keeps the process alive five seconds after the
 * last hook fails the file. Sockets close asynchronously, hence the grace. A file that has failed
 * already keeps its own errors: what it left open is often their consequence, and is only printed.
 */
class LeakEnvironment extends TestEnvironment {
  #before: ReadonlyMap<string, number> = new Map()

  override async setup(): Promise<void> {
    await super.setup()
    // Made at their first use, which may be a test's; where they are pipes they count.
    for (const stream of [process.stdout, process.stderr]) stream.listenerCount('error')
    this.#before = countResources()
  }

  async handleTestEvent(event: { readonly name: string }, state: Circus.State): Promise<void> {
    if (event.name !== 'run_finish') return
    let leaks = leaksSince(this.#before)
    for (let waitedMs = 0; leaks.length > 0 && waitedMs < graceMs; waitedMs += pollMs) {
      await sleep(pollMs)
      leaks = leaksSince(this.#before)
    }
    if (leaks.length === 0) return
    const complaint =
      `The test file left open: ${leaks.join(', ')}. Close it in afterAll; ` +
      'jest --detectOpenHandles shows where it was opened.'
    if (!hasFailed(state.rootDescribeBlock) && state.unhandledErrors.length === 0) {
      throw new Error(complaint)
    }
    process.stderr.write(`${complaint}\n`)
  }
}

export default LeakEnvironment
