import type { Decider } from '../decider.ts'
import { DomainError, invalid } from '../errors.ts'
import type { FieldError } from '../errors.ts'
import { divideHalfEven, divideUp, parsePico, storedAmount } from './money.ts'

export const priceBookStream = 'price-book'

/** What a unit may be. */
export const priceUnits = [
  'input_tokens',
  'output_tokens',
  'cached_tokens',
  'audio_ms',
  'images',
  'megapixels',
  'compute_ms',
  'requests',
] as const

/** One line of the book. `model: null` prices every model that has no line of its own. */
export type Price = {
  readonly provider: string
  readonly model: string | null
  readonly unit: string
  /** Provider cost per unit, pico-USD. */
  readonly costPicoUsd: string
  /** Customer price per unit, pico-credits. */
  readonly pricePicoCredits: string
}

// Events

/** A version of the price book; jobs admitted while it is in force are charged by it. */
export type PricePublished = {
  readonly type: 'PricePublished'
  readonly data: {
    readonly version: number
    readonly effectiveAt: string
    readonly prices: readonly Price[]
    readonly reason: string
    /** The prices of the version before; absent in what was written by earlier versions. */
    readonly previous?: readonly Price[]
  }
}

export type PriceBookEvent = PricePublished

// State

export type PriceVersion = {
  readonly version: number
  readonly effectiveAt: string
  readonly prices: readonly Price[]
}

export type PriceBook = { readonly versions: readonly PriceVersion[] }

export const emptyPriceBook: PriceBook = { versions: [] }

export function evolve(book: PriceBook, event: PriceBookEvent): PriceBook {
  const { version, effectiveAt, prices } = event.data
  return { versions: [...book.versions, { version, effectiveAt, prices }] }
}

// Commands

/** Prices as decimal strings: USD and credits per unit. */
export type PriceLine = {
  readonly provider: string
  readonly model: string | null
  readonly unit: string
  readonly costUsd: string
  readonly priceCredits: string
}

export type PublishPrice = {
  readonly type: 'PublishPrice'
  /** The version that this command makes; publishing it again is already done. */
  readonly version: number
  readonly effectiveAt: string
  readonly prices: readonly PriceLine[]
  readonly reason: string
}

export function decide(book: PriceBook, command: PublishPrice): readonly PriceBookEvent[] {
  const next = book.versions.length + 1
  if (command.version < next) return []
  if (command.version > next) {
    throw new DomainError('conflict', `The next version of the price book is ${next}.`)
  }
  const errors: FieldError[] = []
  const prices = command.prices.map((line, index) => toPrice(line, `/prices/${index}`, errors))
  errors.push(...repeated(prices))
  if (errors.length > 0) throw invalid('invalid_input', errors)
  const { version, effectiveAt, reason } = command
  const previous = book.versions.at(-1)?.prices ?? []
  return [{ type: 'PricePublished', data: { version, effectiveAt, prices, reason, previous } }]
}

export const priceBookDecider: Decider<PriceBook, PublishPrice, PriceBookEvent> = {
  initial: emptyPriceBook,
  evolve,
  decide,
}

function toPrice(line: PriceLine, pointer: string, errors: FieldError[]): Price {
  const cost = parsePico(line.costUsd)
  const price = parsePico(line.priceCredits)
  const expected = 'must be a decimal string with at most 12 places, e.g. "0.000003"'
  if (cost === null) errors.push({ pointer: `${pointer}/costUsd`, detail: expected })
  if (price === null) errors.push({ pointer: `${pointer}/priceCredits`, detail: expected })
  return {
    provider: line.provider,
    model: line.model,
    unit: line.unit,
    costPicoUsd: String(cost ?? 0n),
    pricePicoCredits: String(price ?? 0n),
  }
}

/** Of two prices for the same nobody could say which one holds. */
function repeated(prices: readonly Price[]): readonly FieldError[] {
  const known = new Set<string>()
  return prices.flatMap(({ provider, model, unit }, index) => {
    const what = JSON.stringify([provider, model, unit])
    if (known.has(what)) return [{ pointer: `/prices/${index}`, detail: 'is there twice' }]
    known.add(what)
    return []
  })
}

// Arithmetic

/** What a call used: unit → integer as a string. */
export type Units = Readonly<Record<string, string>>

/** What a call costs and what it is charged. */
export type Priced = {
  readonly costNanoUsd: bigint
  readonly chargedMicro: bigint
  /** Exact cost less the rounded one, pico-USD. */
  readonly costRemainderPico: bigint
  /** Exact price less the rounded one, pico-credits. */
  readonly priceRemainderPico: bigint
  /** False when a unit has no price: recorded, flagged and alerted, never dropped. */
  readonly complete: boolean
}

/**
 * The version in force at a time: the one that became effective last by then, of several the one
 * that was published last. A version that was scheduled comes, whatever is published meanwhile.
 */
export function versionAt(book: PriceBook, at: string): PriceVersion | null {
  const effective = book.versions.filter((version) => version.effectiveAt <= at)
  return effective.reduce<PriceVersion | null>(
    (last, version) => (last && last.effectiveAt > version.effectiveAt ? last : version),
    null,
  )
}

export function versionNumbered(book: PriceBook, version: number): PriceVersion | null {
  return book.versions.find((candidate) => candidate.version === version) ?? null
}

/** Prices one call: sums exactly, then rounds once (cost half-even, price up). */
export function priceCall(
  version: PriceVersion | null,
  call: { readonly provider: string; readonly model: string | null; readonly units: Units },
): Priced {
  let costPico = 0n
  let pricePico = 0n
  let complete = true
  for (const [unit, count] of Object.entries(call.units)) {
    const price = version && findPrice(version, call.provider, call.model, unit)
    if (!price) {
      complete = false
      continue
    }
    costPico += storedAmount(price.costPicoUsd) * storedAmount(count)
    pricePico += storedAmount(price.pricePicoCredits) * storedAmount(count)
  }
  const cost = divideHalfEven(costPico, 1_000n)
  const charged = divideUp(pricePico, 1_000_000n)
  return {
    costNanoUsd: cost.value,
    chargedMicro: charged.value,
    costRemainderPico: cost.remainder,
    priceRemainderPico: charged.remainder,
    complete,
  }
}

function findPrice(version: PriceVersion, provider: string, model: string | null, unit: string) {
  const lines = version.prices.filter((price) => price.provider === provider && price.unit === unit)
  return lines.find((price) => price.model === model) ?? lines.find((price) => price.model === null)
}
