import type { AccountEvent } from '../../domain/account/account-events.ts'
import type { Recorded } from '../../domain/catalog.ts'
import type { Found } from './violation.ts'

type Hold = {
  readonly jobId: string
  readonly amount: bigint
  charged: bigint
  fromHold: bigint
  isSettled: boolean
}

type Of<Type extends AccountEvent['type']> = Recorded<Extract<AccountEvent, { type: Type }>>

/** One account stream, added up from nothing. */
export class AccountCheck {
  readonly #stream: string
  readonly #found: Found
  readonly holds = new Map<string, Hold>()
  readonly #usageIds = new Set<string>()
  readonly #entryIds = new Set<string>()
  #posted = 0n
  #held = 0n
  #overdraft = 0n
  /** What calls cost beyond their holds, and what people took away: admission could not know. */
  #excused = 0n

  constructor(stream: string, found: Found) {
    this.#stream = stream
    this.#found = found
  }

  see(event: Recorded<AccountEvent>): void {
    if (event.type === 'AccountOpened') this.#overdraft = BigInt(event.data.overdraftMicro)
    else if (event.type === 'CreditsGranted') {
      this.#once(event, event.data.grantId)
      this.#posted += BigInt(event.data.amountMicro)
    } else if (event.type === 'CreditsRevoked') {
      this.#once(event, event.data.revocationId)
      this.#posted -= BigInt(event.data.amountMicro)
      this.#excused += BigInt(event.data.amountMicro)
    } else if (event.type === 'CreditsExpired') this.#posted -= BigInt(event.data.amountMicro)
    else if (event.type === 'CreditsHeld') this.#seeHold(event)
    else if (event.type === 'UsageRecorded') this.#seeUsage(event)
    else if (event.type === 'HoldSettled') this.#seeSettled(event)
    this.#checkBalance(event)
  }

  /** After the last job: nothing is reserved any more. */
  endDrained(): void {
    for (const [holdId, hold] of this.holds) {
      if (!hold.isSettled) this.#found('I5', this.#stream, `hold ${holdId} is still open`)
    }
    if (this.#held !== 0n) this.#found('I5', this.#stream, `${this.#held} micro-credits are held`)
  }

  #once(event: Recorded<AccountEvent>, id: string): void {
    if (this.#entryIds.has(id)) this.#wrong('I2', event, `${id} was booked before`)
    this.#entryIds.add(id)
  }

  #seeHold(event: Of<'CreditsHeld'>): void {
    const { holdId, jobId, amountMicro } = event.data
    if (this.holds.has(holdId)) this.#wrong('I2', event, `hold ${holdId} was made before`)
    const amount = BigInt(amountMicro)
    this.holds.set(holdId, { jobId, amount, charged: 0n, fromHold: 0n, isSettled: false })
    this.#held += amount
    const available = this.#posted - this.#held + this.#overdraft
    if (available < 0n) this.#wrong('I4', event, `it leaves ${available} micro-credits available`)
  }

  #seeUsage(event: Of<'UsageRecorded'>): void {
    const { usageId, holdId, chargedMicro, fromHoldMicro, overrunMicro, allocations } = event.data
    if (this.#usageIds.has(usageId)) this.#wrong('I3', event, `usage ${usageId} was booked before`)
    this.#usageIds.add(usageId)
    const charged = BigInt(chargedMicro)
    const fromHold = BigInt(fromHoldMicro)
    this.#posted -= charged
    this.#held -= fromHold
    this.#excused += BigInt(overrunMicro)
    const hold = this.holds.get(holdId)
    if (!hold) {
      this.#wrong('I3', event, `there is no hold ${holdId}`)
      return
    }
    hold.charged += charged
    hold.fromHold += fromHold
    if (fromHold + BigInt(overrunMicro) !== charged) {
      this.#wrong('I3', event, 'what came from the hold and beyond it is not what was charged')
    }
    const allocated = allocations.reduce((sum, part) => sum + BigInt(part.amountMicro), 0n)
    if (allocated + BigInt(event.data.uncoveredMicro) !== charged) {
      this.#wrong('I3', event, 'what came from grants and beyond them is not what was charged')
    }
    if (hold.fromHold > hold.amount) this.#wrong('I4', event, 'the hold gave more than it had')
  }

  #seeSettled(event: Of<'HoldSettled'>): void {
    const { holdId, chargedMicro, releasedMicro } = event.data
    const hold = this.holds.get(holdId)
    if (!hold) {
      this.#wrong('I5', event, `there is no hold ${holdId}`)
      return
    }
    if (hold.isSettled) this.#wrong('I5', event, `hold ${holdId} was settled before`)
    hold.isSettled = true
    const released = BigInt(releasedMicro)
    this.#held -= released
    if (BigInt(chargedMicro) !== hold.charged) {
      this.#wrong('I3', event, `${chargedMicro} charged, its usage says ${hold.charged}`)
    }
    const remaining = hold.amount - hold.fromHold
    if (released !== remaining) {
      this.#wrong('I5', event, `${released} released, ${remaining} remained`)
    }
  }

  #checkBalance(event: Recorded<AccountEvent>): void {
    if (this.#held < 0n) this.#wrong('I4', event, `${this.#held} micro-credits are held`)
    const available = this.#posted - this.#held + this.#overdraft
    if (available + this.#excused < 0n) {
      this.#wrong('I4', event, `${available} micro-credits are available`)
    }
  }

  #wrong(invariant: string, { type, revision }: Recorded<AccountEvent>, why: string): void {
    this.#found(invariant, this.#stream, `${type} at revision ${revision}: ${why}`)
  }
}
