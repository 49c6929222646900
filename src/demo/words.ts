const microDigits = 6

/** Micro-credits as credits with all six decimals, so that amounts line up: 1.228800. */
export function credits(micro: bigint): string {
  const size = micro < 0n ? -micro : micro
  const fraction = (size % 1_000_000n).toString().padStart(microDigits, '0')
  return `${micro < 0n ? '-' : ''}${size / 1_000_000n}.${fraction}`
}

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`
  return count < 1_000_000
    ? `${(count / 1000).toFixed(0)} KB`
    : `${(count / 1_000_000).toFixed(1)} MB`
}

export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`
}

/** The wall clock of an instant, to the millisecond. */
export function clock(iso: string): string {
  const at = new Date(iso)
  const time = at.toLocaleTimeString('en-GB', { hour12: false })
  return `${time}.${String(at.getMilliseconds()).padStart(3, '0')}`
}

/** How much of a unit of usage: `1 image`, `3 output tokens`. */
export function quantity(unit: string, count: number): string {
  const words = unit.replaceAll('_', ' ')
  return `${count} ${count === 1 ? words.replace(/s$/, '') : words}`
}
