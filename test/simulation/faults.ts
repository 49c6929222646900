import { UnknownOutcome } from '../../domain/ports/event-store.ts'
import type { Random } from './random.ts'

/** A line to a store or a provider broke: nobody knows what has happened there. */
class LineBroken extends Error {
  override readonly name = 'LineBroken'
}

export type CallFault = 'lost' | 'answer lost' | 'late'

/** Ports that a seed may make slow, by what their calls are named. */
const slowable = ['events.append', 'events.read', 'rows.commit', 'feed.readPage', 'leases.claim']
const slowMsMax = 3_000
const lateMsMax = 2_000

/** Which faults a run has. Each seed draws some: all of them at once would hide one another. */
export class Faults {
  readonly #random: Random
  readonly kinds
  #isHealed = false

  constructor(random: Random) {
    this.#random = random
    const draw = (probability: number): boolean => random.chance(probability)
    this.kinds = {
      crashes: draw(0.6),
      pauses: draw(0.4),
      jumps: draw(0.25),
      brokenLines: draw(0.5) ? random.pick([0.002, 0.01, 0.05]) : 0,
      lostMessages: draw(0.5) ? random.pick([0.1, 0.5, 1]) : 0,
      doubledMessages: draw(0.5) ? 0.3 : 0,
      messageMsMax: draw(0.3) ? 5_000 : 5,
      slow: draw(0.4) ? random.pick(slowable) : null,
      latencyMsMax: random.pick([0, 2, 20]),
    }
  }

  /** From now on everything works. */
  heal(): void {
    this.#isHealed = true
  }

  ofCall(what: string): CallFault | null {
    if (this.#isHealed || !this.#random.chance(this.kinds.brokenLines)) return null
    const isAppend = what === 'events.append'
    return this.#random.pick<CallFault>(
      isAppend ? ['lost', 'answer lost', 'late'] : ['lost', 'answer lost'],
    )
  }

  errorOf(what: string): Error {
    return what === 'events.append' ? new UnknownOutcome(what) : new LineBroken(what)
  }

  delayMs(what: string): number {
    const { slow, latencyMsMax } = this.kinds
    if (this.#isHealed) return this.#random.between(0, 1)
    if (slow === what && this.#random.chance(0.3)) return this.#random.between(0, slowMsMax)
    return this.#random.between(0, latencyMsMax)
  }

  lateMs(): number {
    return this.#random.between(1, lateMsMax)
  }

  isLostWithItsSender(): boolean {
    return this.#random.chance(0.5)
  }

  /** After how many ms each copy of a message arrives; none when it is lost. */
  copiesOf(): readonly number[] {
    if (this.#isHealed) return [0]
    const { lostMessages, doubledMessages, messageMsMax } = this.kinds
    if (this.#random.chance(lostMessages)) return []
    const first = this.#random.between(0, messageMsMax)
    return this.#random.chance(doubledMessages) ? [first, this.#random.between(0, 5_000)] : [first]
  }

  receiverAnswer(): number {
    return this.#isHealed || this.#random.chance(0.7) ? 204 : this.#random.pick([500, 503, 429])
  }
}
