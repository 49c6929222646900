import { createHash } from 'node:crypto'
import { Clock } from '../../domain/ports/clock.ts'
import type { Random } from './random.ts'

type Waiting = {
  readonly dueMs: number
  /** Drawn by the seed: decides between things that are due at the same millisecond. */
  readonly order: number
  readonly label: string
  readonly run: () => void
}

/** Lines of the trace that are kept for a failure. */
const keptLinesMax = 60

/** Characters of the trace that are hashed at once: each call costs more than its line. */
const unhashedMax = 65_536

/**
 * The only thing that makes time pass. Every answer of an adapter and every timer is an entry
 * here; one proceeds at a time, and everything that it makes ready runs before the next one does.
 */
export class Scheduler extends Clock {
  readonly random: Random
  #nowMs = Date.UTC(2026, 0, 1)
  /** The latest first: the next one is taken from the end. */
  readonly #waiting: Waiting[] = []
  readonly #hash = createHash('sha256')
  #unhashed = ''
  readonly #lines: string[] = []
  steps = 0

  constructor(random: Random) {
    super()
    this.random = random
  }

  override now(): number {
    return this.#nowMs
  }

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const cancel = this.after(ms, 'sleep', () => {
        signal?.removeEventListener('abort', wake)
        resolve()
      })
      const wake = (): void => {
        cancel()
        resolve()
      }
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  /** Runs it when `ms` have passed, unless the returned function is called before. */
  after(ms: number, label: string, run: () => void): () => void {
    const dueMs = this.#nowMs + Math.max(0, Math.ceil(ms))
    const entry = { dueMs, order: this.random.next(), label, run }
    let [low, high] = [0, this.#waiting.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const there = this.#waiting[middle]
      if (there && isLater(there, entry)) low = middle + 1
      else high = middle
    }
    this.#waiting.splice(low, 0, entry)
    return () => {
      const at = this.#waiting.indexOf(entry)
      if (at >= 0) this.#waiting.splice(at, 1)
    }
  }

  /** Lets the next thing proceed, and all that follows from it without waiting. */
  async step(): Promise<void> {
    const next = this.#waiting.pop()
    if (!next) throw new Error('nothing waits any more: the loops are dead')
    this.#nowMs = Math.max(this.#nowMs, next.dueMs)
    this.steps += 1
    this.trace(next.label)
    next.run()
    await turn()
  }

  /** The clock of the machine is set forward: timers that were due meanwhile are late. */
  jump(ms: number): void {
    this.trace(`clock jumps ${ms} ms`)
    this.#nowMs += ms
  }

  trace(line: string): void {
    const timed = `${this.#nowMs % 100_000_000} ${line}`
    this.#unhashed += timed
    if (this.#unhashed.length > unhashedMax) this.#hashRest()
    this.#lines.push(timed)
    if (this.#lines.length > keptLinesMax) this.#lines.shift()
  }

  /** Differs as soon as one step differs. */
  traceHash(): string {
    this.#hashRest()
    return this.#hash.copy().digest('hex')
  }

  #hashRest(): void {
    this.#hash.update(this.#unhashed)
    this.#unhashed = ''
  }

  lastLines(): readonly string[] {
    return this.#lines
  }
}

function isLater(one: Waiting, other: Waiting): boolean {
  return one.dueMs === other.dueMs ? one.order > other.order : one.dueMs > other.dueMs
}

/** Ends when no promise is ready any more. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
