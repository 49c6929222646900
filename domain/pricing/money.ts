/**
 * Money is bigint, always: micro-credits (CREDIT/6) for customers, nano-USD (USD/9) for provider
 * cost, pico-units (/12) for prices per unit. In events and JSON it is a decimal string.
 */

const integerPattern = /^-?(0|[1-9]\d*)$/
const decimalPattern = /^(\d{1,15})(?:\.(\d{1,12}))?$/

/** Largest amount of one entry, micro-credits: a million million credits. */
export const amountMicroMax = 10n ** 18n

/** Reads a string of an integer. Returns null for anything else; floats never become money. */
export function parseInteger(text: unknown): bigint | null {
  if (typeof text !== 'string' || text.length > 30 || !integerPattern.test(text)) return null
  return BigInt(text)
}

/** Reads an integer that weir itself wrote into an event. */
export function storedAmount(text: string): bigint {
  const amount = parseInteger(text)
  if (amount === null) throw new Error(`not an amount: ${text}`)
  return amount
}

/** `0.00000003` → 30000n pico. Null when it is not a decimal with at most 12 places. */
export function parsePico(text: unknown): bigint | null {
  const match = typeof text === 'string' ? decimalPattern.exec(text) : null
  if (!match) return null
  return BigInt(match[1] ?? '0') * 10n ** 12n + BigInt((match[2] ?? '').padEnd(12, '0'))
}

/** `30000n` pico → `0.00000003`. */
export function formatPico(pico: bigint): string {
  const whole = pico / 10n ** 12n
  const places = (pico % 10n ** 12n).toString().padStart(12, '0').replace(/0+$/, '')
  return places ? `${whole}.${places}` : whole.toString()
}

/** A division that keeps what it rounded away, so that a replay is exact. */
export type Rounded = { readonly value: bigint; readonly remainder: bigint }

/** Rounds up: what a customer pays. `remainder` = exact − value × divisor, zero or negative. */
export function divideUp(exact: bigint, divisor: bigint): Rounded {
  const floor = exact / divisor
  const value = exact % divisor > 0n ? floor + 1n : floor
  return { value, remainder: exact - value * divisor }
}

/** Rounds half to even: what a provider costs. */
export function divideHalfEven(exact: bigint, divisor: bigint): Rounded {
  const floor = exact / divisor
  const twice = (exact % divisor) * 2n
  const up = twice > divisor || (twice === divisor && floor % 2n === 1n)
  const value = up ? floor + 1n : floor
  return { value, remainder: exact - value * divisor }
}

export function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

export function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
