import { isRecent } from '../domain/ports/clock.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { Signals } from '../domain/ports/signals.ts'

/** At most two signals per second and job. */
const everyMs = 500
/** Jobs whose last signal is remembered. */
const rememberedMax = 10_000

export type Progress = {
  readonly jobId: string
  readonly orgId: string
  readonly progress: number
  readonly message: string | null
}

/** Passes progress on as signals, not as events, and not more often than somebody could see. */
export class ProgressTeller {
  readonly #signals: Signals
  readonly #clock: Clock
  readonly #toldAt = new Map<string, number>()

  constructor(signals: Signals, clock: Clock) {
    this.#signals = signals
    this.#clock = clock
  }

  tell(progress: Progress): void {
    const now = this.#clock.now()
    if (isRecent(this.#toldAt.get(progress.jobId) ?? -Infinity, now, everyMs)) return
    if (this.#toldAt.size >= rememberedMax) this.#toldAt.clear()
    this.#toldAt.set(progress.jobId, now)
    this.#signals.publish('job_progress', progress).catch(() => undefined)
  }

  /** Forgets a job that has ended. */
  forget(jobId: string): void {
    this.#toldAt.delete(jobId)
  }
}
