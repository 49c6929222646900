// Numbers as people read them. Amounts stay BigInt from the first to the last character.

const MICRO_DIGITS = 6

/** How many decimals an amount of micro-credits needs, at least two. */
export function decimalsOf(micro) {
  const fraction = (BigInt(micro) < 0n ? -BigInt(micro) : BigInt(micro)) % 1_000_000n
  return Math.max(2, String(fraction).padStart(MICRO_DIGITS, '0').replace(/0+$/, '').length)
}

/** Micro-credits as credits: 1228800 is 1.2288. `decimals` lines up several amounts. */
export function credits(micro, decimals = decimalsOf(micro)) {
  const amount = BigInt(micro)
  const size = amount < 0n ? -amount : amount
  const whole = (size / 1_000_000n).toLocaleString('en-US')
  const fraction = String(size % 1_000_000n)
    .padStart(MICRO_DIGITS, '0')
    .slice(0, decimals)
  return `${amount < 0n ? '−' : ''}${whole}.${fraction}`
}

export function bytes(count) {
  if (count < 1000) return `${count} B`
  const [size, unit] = count < 1e6 ? [count / 1e3, 'KB'] : [count / 1e6, 'MB']
  return `${size.toFixed(size < 10 ? 1 : 0)} ${unit}`
}

export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`
  return ms < 60_000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.round(ms / 1000)} s`
}

/** The wall clock of an instant, to the millisecond. */
export function clock(iso) {
  const at = new Date(iso)
  const part = (value, width = 2) => String(value).padStart(width, '0')
  const seconds = `${part(at.getSeconds())}.${part(at.getMilliseconds(), 3)}`
  return `${part(at.getHours())}:${part(at.getMinutes())}:${seconds}`
}

export const size = (width, height) => `${width} × ${height}`

/** How much of a unit of usage: `1 image`, `3 output tokens`. */
export function quantity(unit, count) {
  const words = unit.replaceAll('_', ' ')
  return `${Number(count)} ${Number(count) === 1 ? words.replace(/s$/, '') : words}`
}
