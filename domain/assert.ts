/** Thrown when something that must hold does not. It stops the process; it is never handled. */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

/** Checks what must hold whatever the input was. A false value is a bug of weir. */
export function assert(value: unknown, what: string): asserts value {
  if (!value) throw new AssertionFailed(what)
}
