import type { AccountEvent, StoredAllocation } from '../../domain/account/account-events.ts'
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
  /** What is left of each grant. */
  readonly #grants = new Map<string, bigint>()
  #debt = 0n
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
    else if (event.type === 'CreditsGranted') this.#seeGrant(event)
    else if (event.type === 'CreditsRevoked') this.#seeRevoked(event)
    else if (event.type === 'CreditsExpired') {
      this.#posted -= BigInt(event.data.amountMicro)
      this.#take(event, [event.data], 0n)
    } else if (event.type === 'CreditsHeld') this.#seeHold(event)
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

  #seeGrant(event: Of<'CreditsGranted'>): void {
    const { grantId, amountMicro, coversDebtMicro } = event.data
    this.#once(event, grantId)
    const [amount, covers] = [BigInt(amountMicro), BigInt(coversDebtMicro)]
    this.#posted += amount
    this.#debt -= covers
    this.#grants.set(grantId, amount - covers)
    if (this.#debt < 0n) this.#wrong('I4', event, 'it pays more debt than there was')
  }

  #seeRevoked(event: Of<'CreditsRevoked'>): void {
    const { revocationId, amountMicro, allocations, uncoveredMicro } = event.data
    this.#once(event, revocationId)
    const amount = BigInt(amountMicro)
    this.#posted -= amount
    this.#excused += amount
    if (this.#take(event, allocations, BigInt(uncoveredMicro)) !== amount) {
      this.#wrong('I4', event, 'what came from grants and beyond them is not what was taken')
    }
  }

  /** Takes from grants, and makes debt of what they do not cover. Returns the sum of both. */
  #take(
    event: Recorded<AccountEvent>,
    allocations: readonly StoredAllocation[],
    uncovered: bigint,
  ): bigint {
    let sum = uncovered
    for (const { grantId, amountMicro } of allocations) {
      const left = (this.#grants.get(grantId) ?? 0n) - BigInt(amountMicro)
      this.#grants.set(grantId, left)
      sum += BigInt(amountMicro)
      if (left < 0n) this.#wrong('I4', event, `grant ${grantId} gave more than it had`)
    }
    this.#debt += uncovered
    return sum
  }

  #seeHold(event: Of<'CreditsHeld'>): void {
    const { holdId, jobId, amountMicro } = event.data
    if (this.holds.has(holdId)) this.#wrong('I2', event, `hold ${holdId} was made before`)
    // A job has one hold per run, and each is named by the job.
    if (holdId !== jobId && !holdId.startsWith(`${jobId}/`)) {
      this.#wrong('I2', event, `hold ${holdId} is none of job ${jobId}`)
    }
    const amount = BigInt(amountMicro)
    this.holds.set(holdId, { jobId, amount, charged: 0n, fromHold: 0n, isSettled: false })
    this.#held += amount
    const available = this.#posted - this.#held + this.#overdraft
    if (available < 0n) this.#wrong('I4', event, `it leaves ${available} micro-credits available`)
  }

  #seeUsage(event: Of<'UsageRecorded'>): void {
    const { usageId, holdId, jobId, chargedMicro, fromHoldMicro, overrunMicro } = event.data
    if (this.#usageIds.has(usageId)) this.#wrong('I3', event, `usage ${usageId} was booked before`)
    this.#usageIds.add(usageId)
    const charged = BigInt(chargedMicro)
    const fromHold = BigInt(fromHoldMicro)
    this.#posted -= charged
    this.#held -= fromHold
    this.#excused += BigInt(overrunMicro)
    const { allocations, uncoveredMicro } = event.data
    if (this.#take(event, allocations, BigInt(uncoveredMicro)) !== charged) {
      this.#wrong('I3', event, 'what came from grants and beyond them is not what was charged')
    }
    const hold = this.holds.get(holdId)
    if (!hold) {
      this.#wrong('I3', event, `there is no hold ${holdId}`)
      return
    }
    if (hold.jobId !== jobId) this.#wrong('I3', event, `hold ${holdId} is of job ${hold.jobId}`)
    hold.charged += charged
    hold.fromHold += fromHold
    if (fromHold + BigInt(overrunMicro) !== charged) {
      this.#wrong('I3', event, 'what came from the hold and beyond it is not what was charged')
    }
    if (hold.fromHold > hold.amount) this.#wrong('I4', event, 'the hold gave more than it had')
  }

  #seeSettled(event: Of<'HoldSettled'>): void {
    const { holdId, jobId, chargedMicro, releasedMicro } = event.data
    const hold = this.holds.get(holdId)
    if (!hold) {
      this.#wrong('I5', event, `there is no hold ${holdId}`)
      return
    }
    if (hold.isSettled) this.#wrong('I5', event, `hold ${holdId} was settled before`)
    if (hold.jobId !== jobId) this.#wrong('I5', event, `hold ${holdId} is of job ${hold.jobId}`)
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
