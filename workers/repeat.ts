import type { Clock } from '../domain/ports/clock.ts'
import type { Loop, LoopReport } from './loop.ts'

/** Longest pause after failures, ms. */
const pauseMsMax = 5_000

/** What one turn of a loop did: `idle` pauses, `busy` goes on at once. */
export type Turn = 'idle' | 'busy'

export type RepeatOptions = {
  readonly name: string
  readonly clock: Clock
  readonly report: LoopReport
  /** One turn. Errors are told and repeated with a growing pause: a loop never dies. */
  readonly turn: (signal: AbortSignal) => Promise<Turn>
  /** What to wait for when there was nothing to do; at once when the signal is aborted. */
  readonly idle: (signal: AbortSignal) => Promise<void>
}

/** A loop that repeats a turn. */
export function repeat({ name, clock, report, turn, idle }: RepeatOptions): Loop {
  const stopping = new AbortController()
  let running: Promise<void> = Promise.resolve()

  const run = async (): Promise<void> => {
    let failures = 0
    while (!stopping.signal.aborted) {
      try {
        const did = await turn(stopping.signal)
        failures = 0
        if (did === 'idle') await idle(stopping.signal)
      } catch (error) {
        failures += 1
        report('error', { err: error, loop: name, failures }, 'loop turn failed')
        await clock.sleep(Math.min(50 * 2 ** failures, pauseMsMax), stopping.signal)
      }
    }
  }

  return {
    name,
    start: () => {
      running = run()
    },
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}
