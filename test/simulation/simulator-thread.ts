import { parentPort } from 'node:worker_threads'
import { mutations } from './mutations.ts'
import { simulate } from './simulate.ts'
import type { Life } from './simulator.ts'

async function live({ seed, mutation }: Life): Promise<void> {
  const planted = mutation === undefined ? {} : mutations[mutation]
  parentPort?.postMessage(await simulate(seed, planted))
}

// An error that nobody catches here ends the thread, and fails the test that asked.
parentPort?.on('message', (life: Life) => void live(life))
