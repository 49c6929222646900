/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What a text means, or what is wrong with it, as the rest of a sentence after its name. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string }

/** Reads single variables. */
export interface Reader {
  text(name: string, fallback: string): string
  integer(name: string, fallback: number, range: { min: number; max: number }): number
  flag(name: string, fallback: 'true' | 'false'): boolean
  parsed<T>(name: string, parse: (text: string) => Parsed<T>): T | undefined
  list<T>(name: string, parse: (text: string) => Parsed<T>): T[]
}

/** Readers that note what is wrong and go on, so that a user sees every mistake at once. */
export function readerOf(environment: Environment, problems: string[]): Reader {
  const text = (name: string, fallback: string): string => environment[name]?.trim() || fallback
  const accepted = <T>(name: string, parsed: Parsed<T>): T | undefined => {
    if ('value' in parsed) return parsed.value
    problems.push(`${name} ${parsed.problem}.`)
    return undefined
  }
  return {
    text,
    integer: (name, fallback, { min, max }) => {
      const given = text(name, String(fallback))
      const value = /^\d{1,9}$/.test(given) ? Number(given) : NaN
      if (value >= min && value <= max) return value
      problems.push(`${name} must be a whole number from ${min} to ${max}, not "${given}".`)
      return fallback
    },
    flag: (name, fallback) => {
      const given = text(name, fallback)
      if (given === 'true' || given === 'false') return given === 'true'
      problems.push(`${name} must be true or false, not "${given}".`)
      return fallback === 'true'
    },
    parsed: (name, parse) => {
      const given = text(name, '')
      return given === '' ? undefined : accepted(name, parse(given))
    },
    list: (name, parse) => {
      const items = text(name, '').split(',')
      const given = items.map((item) => item.trim()).filter((item) => item !== '')
      return given.flatMap((item) => accepted(name, parse(item)) ?? [])
    },
  }
}
