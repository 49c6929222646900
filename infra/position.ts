/** Compares positions that are decimal numbers without leading zeros, of any size. */
export function comparePositions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  if (a === b) return 0
  return a < b ? -1 : 1
}
