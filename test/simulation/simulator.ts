import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { build } from 'esbuild'
import { root } from '../support/repository.ts'
import type { Outcome } from './outcome.ts'

/** What is asked of the thread: a seed, and the name of a bug to plant. */
export type Life = { readonly seed: number; readonly mutation?: string }

/**
 * Simulates in a thread of its own, as Node runs any program: among Jest's modules and hooks a
 * seed took 0.35 s instead of 0.23 s.
 */
export class Simulator {
  readonly #folder: string
  readonly #thread: Worker

  private constructor(folder: string, thread: Worker) {
    this.#folder = folder
    this.#thread = thread
  }

  static async start(): Promise<Simulator> {
    // Packages are found from there.
    await mkdir(join(root, '.cache'), { recursive: true })
    const folder = await mkdtemp(join(root, '.cache', 'simulator-'))
    const outfile = join(folder, 'thread.mjs')
    await build({
      ...{ outfile, entryPoints: [join(import.meta.dirname, 'simulator-thread.ts')] },
      ...{ bundle: true, platform: 'node', format: 'esm', packages: 'external' },
    })
    return new Simulator(folder, new Worker(outfile))
  }

  /** One at a time. @throws what the run threw: something that waits for nothing, for instance */
  async simulate(seed: number, mutation?: string): Promise<Outcome> {
    const life: Life = mutation === undefined ? { seed } : { seed, mutation }
    this.#thread.postMessage(life)
    const [outcome] = (await once(this.#thread, 'message')) as [Outcome]
    return outcome
  }

  async stop(): Promise<void> {
    await this.#thread.terminate()
    await rm(this.#folder, { recursive: true })
  }
}
