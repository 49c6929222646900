/** The members of a JSON object; throws when `value` is none. */
export function members(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error(`${what} is not an object`)
  return Object.fromEntries(Object.entries(value))
}

/** A string member of a JSON object; throws when it is missing. */
export function text(value: unknown, name: string): string {
  const member = members(value, `the holder of ${name}`)[name]
  if (typeof member !== 'string') throw new Error(`${name} is not a string`)
  return member
}

/** An array member of a JSON object; throws when it is missing. */
export function list(value: unknown, name: string): readonly unknown[] {
  const member = members(value, `the holder of ${name}`)[name]
  if (!Array.isArray(member)) throw new Error(`${name} is not a list`)
  return member
}

export const parse = (json: string): unknown => JSON.parse(json)
