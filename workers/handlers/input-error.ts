import type { ErrorObject } from 'ajv/dist/2020.js'
import type { FieldError } from '../../domain/errors.ts'

/** One finding of the schema as a pointer into the request and the rest of a sentence about it. */
export function describeError(error: ErrorObject): FieldError {
  const pointer = `/input${error.instancePath}`
  const parameter = (name: string): string => String(error.params[name])
  switch (error.keyword) {
    case 'required':
      return { pointer: below(pointer, parameter('missingProperty')), detail: 'is required' }
    case 'additionalProperties': {
      const detail = `is not known here; known are ${knownMembers(error)}`
      return { pointer: below(pointer, parameter('additionalProperty')), detail }
    }
    case 'type': {
      const detail = `must be ${withArticle(parameter('type'))}, not ${kindOf(error.data)}`
      return { pointer, detail }
    }
    case 'enum':
      return { pointer, detail: `must be one of ${listOf(error.params['allowedValues'])}` }
    case 'minimum':
      return { pointer, detail: `must be at least ${parameter('limit')}` }
    case 'maximum':
      return { pointer, detail: `must be at most ${parameter('limit')}` }
    case 'pattern':
      return { pointer, detail: `must be ${String(error.parentSchema?.['description'])}` }
    default:
      return { pointer, detail: error.message ?? 'does not fit the schema' }
  }
}

/** RFC 6901. */
function below(pointer: string, member: string): string {
  return `${pointer}/${member.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

function knownMembers({ parentSchema }: ErrorObject): string {
  const known: unknown = parentSchema?.['properties']
  return typeof known === 'object' && known !== null ? Object.keys(known).join(', ') : 'none'
}

function listOf(values: unknown): string {
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(', ') : ''
}

function withArticle(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number' && !Number.isInteger(value)) return 'a number with a fraction'
  return withArticle(typeof value)
}
