import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import { invalid } from '../../domain/errors.ts'
import type { FieldError } from '../../domain/errors.ts'
import { firstTime, isoTime, lastTime } from '../../domain/ports/clock.ts'

const ajv = new Ajv2020({
  ...{ allErrors: true, strict: true, allowUnionTypes: true },
  // Compiling the schema of schemas took 70 ms of each start; tests hold ours against it.
  ...{ meta: false, validateSchema: false },
})

/** Text that can be stored and shown: no NUL, no half of a surrogate pair. */
ajv.addFormat('text', (text: string) => !text.includes('\u0000') && text.isWellFormed())
/** A time with a zone. */
ajv.addFormat('time', (text: string) => parseTime(text) !== null)
/** A string of an integer that is not negative. */
ajv.addFormat('amount', /^(0|[1-9]\d{0,18})$/)
ajv.addFormat('signed-amount', /^-?[1-9]\d{0,18}$/)

const timePattern = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/

const [firstMs, lastMs] = [Date.parse(firstTime), Date.parse(lastTime)]

/**
 * ISO 8601 as ms since the epoch; a time without a zone is UTC; null when it is none. One that its
 * zone moves out of the years 1 to 9999 is none either: nothing behind this could store it.
 */
export function parseTime(text: string): number | null {
  if (!timePattern.test(text) || !isDay(text.slice(0, 10))) return null
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/.test(text) && text.length > 10
  const ms = Date.parse(hasZone || text.length === 10 ? text : `${text}Z`)
  return ms >= firstMs && ms <= lastMs ? ms : null
}

/** JavaScript takes the 30th of February for the 2nd of March. */
function isDay(text: string): boolean {
  const midnight = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(midnight) && isoTime(midnight).startsWith(text)
}

/**
 * Reads a time at which something ends, and which the schema has let through; null stays null.
 *
 * @throws DomainError `invalid_request` when it is over: the command would do nothing
 */
export function endingTime(
  text: string | null | undefined,
  { now, pointer }: { readonly now: number; readonly pointer: string },
): string | null {
  const ms = text ? parseTime(text) : null
  if (ms === null) return null
  if (ms > now) return isoTime(ms)
  throw invalid('invalid_request', [{ pointer, detail: 'must be in the future' }])
}

/**
 * A function that gives the typed body; the schema is compiled when it is first used.
 *
 * @throws DomainError `invalid_request` with a pointer per finding
 */
// The type is the caller's word for the schema that stands beside it.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
export function envelope<T>(schema: object): (body: unknown) => T {
  let compiled: ValidateFunction<T> | undefined
  return (body) => {
    const check = (compiled ??= ajv.compile<T>(schema))
    if (check(body)) return body
    throw invalid('invalid_request', (check.errors ?? []).slice(0, 20).map(describe))
  }
}

function describe(error: ErrorObject): FieldError {
  const { instancePath, keyword, message } = error
  const params: Readonly<Record<string, unknown>> = error.params
  const member = keyword === 'required' ? params['missingProperty'] : params['additionalProperty']
  const pointer = typeof member === 'string' ? `${instancePath}/${escaped(member)}` : instancePath
  switch (keyword) {
    case 'required':
      return { pointer, detail: 'is required' }
    case 'additionalProperties':
      return { pointer, detail: 'is not known here' }
    case 'enum':
      return { pointer, detail: `must be one of ${listed(params['allowedValues'], ', ')}` }
    case 'type':
      return { pointer, detail: `must be ${listed(params['type'], ' or ')}` }
    case 'format':
      return { pointer, detail: `must be a valid ${String(params['format'])}` }
    default:
      return { pointer, detail: message ?? 'is not acceptable' }
  }
}

/** One value or several; null by its name. */
function listed(values: unknown, separator: string): string {
  return (Array.isArray(values) ? values : [values]).map(String).join(separator)
}

/** A name as RFC 6901 writes it in a pointer. */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
