/**
 * Thrown when something that must hold does not: a fault of weir, which nobody catches by name.
 * What met it fails as `internal`, or is tried again, and stands in the log.
 */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

/** Checks what must hold whatever the input was. A false value is a bug of weir. */
export function assert(value: unknown, what: string): asserts value {
  if (!value) throw new AssertionFailed(what)
}
