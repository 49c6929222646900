import type { Json } from '../../../domain/json.ts'
import type { Access } from '../access.ts'
import type { HeaderName } from './headers.ts'
import type { Content, Example, Examples, Method } from './openapi.ts'
import type { ParameterName } from './parameters.ts'
import type { Refusal } from './problems.ts'
import { ref } from './schema.ts'

/**
 * One route as this folder writes it down. What follows from it (the key's header, the refusals
 * that every such route has) is added by operation.ts.
 */
export type Route = {
  readonly method: Method
  /** With parameters in braces; each of them is a parameter by that name. */
  readonly path: string
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly access: Access
  readonly parameters?: readonly ParameterName[]
  readonly body?: { readonly content: Content; readonly required: boolean }
  readonly answers: Readonly<Record<number, RouteAnswer>>
  /** Beyond, or in better words than, what every such route refuses. */
  readonly refusals?: readonly Refusal[]
}

export type RouteAnswer = {
  readonly description: string
  readonly content?: Content
  readonly headers?: readonly HeaderName[]
}

/** A JSON body of a named schema. */
export function json(schema: string, examples?: Examples): Content {
  return { 'application/json': { schema: ref(schema), ...(examples ? { examples } : {}) } }
}

/** One example, when there is only one. */
export function example(value: Json, summary?: string): Examples {
  const known: Example = summary === undefined ? { value } : { summary, value }
  return { example: known }
}

/** One page that is the last. */
export function pageExample(...items: readonly Json[]): Examples {
  return example({ items, nextCursor: null })
}
