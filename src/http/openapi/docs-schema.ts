import type { Json, JsonObject } from '../../../domain/json.ts'
import { html, inline } from './html.ts'
import type { Html, Part } from './html.ts'
import type { Schema } from './schema.ts'

const refPattern = /^#\/components\/schemas\/(.+)$/

/** The name that a reference leads to; null for any other schema. */
export function nameOf(schema: Schema): string | null {
  const { $ref } = schema
  return (typeof $ref === 'string' && refPattern.exec($ref)?.[1]) || null
}

/** What a value is, in a few words. */
export function kindOf(schema: Schema): Html {
  const name = nameOf(schema)
  if (name !== null) return html`<a class="kind" href="#schema-${name}">${name}</a>`
  return html`<span class="kind">${wordsOf(schema)}</span>`
}

function wordsOf(schema: Schema): Part {
  const { type, format, items } = schema
  const choices = [...schemasIn(schema['anyOf']), ...schemasIn(schema['oneOf'])]
  if (choices.length > 0) return separated(choices.map(kindOf), ' or ')
  if ('const' in schema) return JSON.stringify(schema['const'])
  if (type === 'array' && isSchema(items)) return html`list of ${kindOf(items)}`
  if (isList(type)) return type.map(plain).join(' or ').replace('array', 'list')
  const word = plain(type ?? 'anything')
  return typeof format === 'string' ? `${word}, ${formatNames[format] ?? format}` : word
}

const formatNames: Readonly<Record<string, string>> = {
  'date-time': 'ISO 8601',
  uri: 'URL',
  uuid: 'UUID',
}

/** The members of an object, each with what it holds. */
export function membersOf(schema: Schema): Html {
  const properties = isSchema(schema['properties']) ? schema['properties'] : {}
  const required = isList(schema['required']) ? schema['required'] : []
  const members = Object.entries(properties).flatMap(([name, member]) =>
    isSchema(member) ? [memberOf(name, member, required.includes(name))] : [],
  )
  const notes = schemasIn(schema['allOf']).map(noteOf)
  if (members.length + notes.length === 0) return html``
  return html`${
      notes.length > 0
        ? html`<ul class="notes">
            ${notes}
          </ul>`
        : ''
    }
    <ul class="members">
      ${members}
    </ul>`
}

function memberOf(name: string, schema: Schema, isRequired: boolean): Html {
  const { description } = schema
  return html`<li>
    <p class="member"><code>${name}</code> ${kindOf(schema)}${isRequired ? mark : ''}</p>
    ${typeof description === 'string' ? html`<p>${inline(description)}</p>` : ''}
    ${limitsOf(schema)} ${nestedOf(schema)}
  </li>`
}

const mark = html` <span class="must">required</span>`

/** Members of an object that has no name of its own. */
function nestedOf(schema: Schema): Html {
  const { items } = schema
  return isSchema(items) && nameOf(items) === null ? membersOf(items) : membersOf(schema)
}

/** A part of `allOf`: another schema, or what holds under a condition. */
function noteOf(part: Schema): Html {
  const name = nameOf(part)
  if (name !== null) return html`<li>Everything of ${kindOf(part)}, and:</li>`
  const condition = firstMember(part['if'])
  const consequence = firstMember(part['then'])
  if (!condition || !consequence) return html``
  return html`<li>
    <code>${condition.name}: ${JSON.stringify(condition.schema['const'])}</code> asks for
    <code>${consequence.name}</code> as ${kindOf(consequence.schema)}
  </li>`
}

function firstMember(schema: Json | undefined) {
  const properties = isSchema(schema) ? schema['properties'] : undefined
  const [entry] = isSchema(properties) ? Object.entries(properties) : []
  return entry && isSchema(entry[1]) ? { name: entry[0], schema: entry[1] } : null
}

/** Limits, choices and the default. */
export function limitsOf(schema: Schema): Html {
  const limits = limitWords(schema)
  const choices = isList(schema['enum']) ? schema['enum'] : choicesOfItems(schema)
  const choice = choices.map((one) => html`<code>${plain(one)}</code>`)
  if (limits === '' && choice.length === 0) return html``
  return html`<p class="limits">
    ${separated(choice, ' ')}${choice.length > 0 && limits !== '' ? '; ' : ''}${limits}
  </p>`
}

function choicesOfItems({ items }: Schema): readonly Json[] {
  return isSchema(items) && isList(items['enum']) ? items['enum'] : []
}

const limitNames: Readonly<Record<string, (limit: string) => string>> = {
  minimum: (limit) => `from ${limit}`,
  maximum: (limit) => `to ${limit}`,
  maxLength: (limit) => `at most ${limit} characters`,
  maxItems: (limit) => `at most ${limit} items`,
  default: (limit) => `default ${limit}`,
}

function limitWords(schema: Schema): string {
  const words = Object.entries(limitNames).flatMap(([keyword, say]) => {
    const limit = schema[keyword]
    const isSaid = limit !== undefined && !(keyword === 'minimum' && limit === 0)
    return isSaid ? [say(typeof limit === 'number' ? grouped(limit) : plain(limit))] : []
  })
  return words.join(', ').replace(', to ', ' to ')
}

function grouped(limit: number): string {
  return limit.toLocaleString('en-US')
}

export function separated(parts: readonly Part[], between: string): Html {
  return html`${parts.map((part, at) => html`${at > 0 ? between : ''}${part}`)}`
}

function schemasIn(value: Json | undefined): readonly Schema[] {
  return isList(value) ? value.filter(isSchema) : []
}

export function isSchema(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value in a sentence. */
export function plain(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null)
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
