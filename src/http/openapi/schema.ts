import type { Json, JsonObject } from '../../../domain/json.ts'

/** A JSON Schema, draft 2020-12. */
export type Schema = JsonObject

/** A schema for every member of T, so that the compiler holds the document against the code. */
type Members<T> = { readonly [Member in keyof T]-?: Schema }

/** The schema of T: names every member, and says which ones may be missing. */
export function object<T extends object>(
  description: string,
  properties: Members<T>,
  optional: readonly (keyof T & string)[] = [],
): Schema {
  const known: JsonObject = properties
  const required = Object.keys(known).filter((name) => !optional.some((other) => other === name))
  return { type: 'object', description, required, properties: known }
}

export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

export function listOf(items: Schema, description?: string): Schema {
  return { type: 'array', items, ...(description === undefined ? {} : { description }) }
}

/** The same, or null. */
export function orNull(schema: Schema): Schema {
  const { type, enum: choices } = schema
  const open = isList(choices) ? { enum: [...choices, null] } : {}
  if (typeof type === 'string') return { ...schema, ...open, type: [type, 'null'] }
  return { anyOf: [schema, { type: 'null' }] }
}

export function choice(values: readonly string[], description: string): Schema {
  return { type: 'string', enum: values, description }
}

export function text(description: string): Schema {
  return { type: 'string', description }
}

export function count(description: string): Schema {
  return { type: 'integer', minimum: 0, description }
}

/** A string of an integer, which no float touches on its way. */
export function amount(description: string): Schema {
  return { type: 'string', pattern: '^-?(0|[1-9]\\d*)$', description }
}

export function time(description: string): Schema {
  return { type: 'string', format: 'date-time', description }
}

export function uuid(description: string): Schema {
  return { type: 'string', format: 'uuid', description }
}

export function url(description: string): Schema {
  return { type: 'string', format: 'uri', description }
}

/** A page of a list. */
export function pageOf(name: string): Schema {
  return {
    type: 'object',
    required: ['items', 'nextCursor'],
    properties: {
      items: listOf(ref(name)),
      nextCursor: orNull(text('Names the next page; null on the last one.')),
    },
  }
}

// What envelope.ts calls its formats, in words that every reader of a schema knows.
const publicFormats: Readonly<Record<string, Schema>> = {
  text: {},
  time: { format: 'date-time' },
  amount: { pattern: '^(0|[1-9]\\d{0,18})$' },
  'signed-amount': { pattern: '^-?[1-9]\\d{0,18}$' },
}

/** The schema that checks a request, as it may be published. */
export function published(schema: Schema): Schema {
  const { $schema: _, format, ...rest } = schema
  const members = Object.entries(rest).map(
    ([name, value]) => [name, publishedValue(value)] as const,
  )
  const known = typeof format === 'string' ? (publicFormats[format] ?? { format }) : {}
  return { ...Object.fromEntries(members), ...known }
}

function publishedValue(value: Json): Json {
  if (isList(value)) return value.map(publishedValue)
  return typeof value === 'object' && value !== null ? published(value) : value
}

/** A value as it stands in a body. */
export function jsonOf(value: unknown): Json {
  if (value === null || typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.map(jsonOf)
  if (typeof value !== 'object') throw new Error(`a ${typeof value} is not JSON`)
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, jsonOf(member)]))
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
