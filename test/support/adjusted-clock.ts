import { SimulatedClock } from '../../infra/simulated/clock.ts'

/** A clock that somebody sets back; timers do not mind, as those of a machine do not. */
export class AdjustedClock extends SimulatedClock {
  #backMs = 0

  override now(): number {
    return super.now() - this.#backMs
  }

  setBack(ms: number): void {
    this.#backMs += ms
  }
}
