import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Json, JsonObject } from '../../domain/json.ts'
import type { OpenApi, Operation, Response } from '../../src/http/openapi/openapi.ts'
import { methods } from '../../src/http/openapi/openapi.ts'

/** A member of an OpenAPI document and where it stands. */
export type Found = { readonly at: string; readonly value: JsonObject }

/** Holds bodies against a document. Members that it does not describe are mistakes, too. */
export class OpenApiChecker {
  readonly document: OpenApi
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true })

  constructor(document: OpenApi) {
    this.document = document
    addFormats.default(this.#ajv)
    this.#ajv.addSchema(closed(asJson(document)) as JsonObject, 'openapi')
  }

  /** What is wrong with a value; empty when nothing is. */
  mistakes(schema: JsonObject, value: unknown): string[] {
    const text = JSON.stringify(closed(schema)).replaceAll('"#/', '"openapi#/')
    const check = this.#ajv.compile(JSON.parse(text) as JsonObject)
    if (check(value)) return []
    return (check.errors ?? []).map(({ instancePath, message, params }) => {
      return `${instancePath || '/'} ${message ?? ''} ${JSON.stringify(params)}`
    })
  }

  /** What an answer has that the document does not say, or lacks that it says. */
  answerMistakes(method: string, path: string, answer: AnswerSeen): string[] {
    const operation = this.operationAt(method, path)
    if (!operation) return [`there is no ${method} ${path}`]
    const response = this.#responseOf(operation, answer.status)
    if (!response) return [`${method} ${path} never answers ${answer.status}`]
    const missing = answer.headers.has('x-request-id') ? [] : ['no x-request-id']
    const { content } = response
    if (answer.text === '') return content === undefined ? missing : [...missing, 'no body']
    const type = answer.headers.get('content-type')?.split(';')[0] ?? ''
    const media = content?.[type]
    if (!media) return [...missing, `${answer.status} is never ${type}`]
    const isJson = type.endsWith('json')
    return [...missing, ...(isJson ? this.mistakes(media.schema, JSON.parse(answer.text)) : [])]
  }

  /** What is described of a request; undefined when nothing is. */
  operationAt(method: string, path: string): Operation | undefined {
    const { pathname } = new URL(path, 'http://weir')
    const verb = methods.find((known) => known === method.toLowerCase())
    const matching = Object.entries(this.document.paths).filter(([template]) => {
      const pattern = template.replace('{objectKey}', '.+').replace(/\{\w+\}/g, '[^/]+')
      return new RegExp(`^${pattern}$`).test(pathname)
    })
    // `/v1/jobs/batch` is a path of its own, although it looks like a job.
    const exact = matching.find(([template]) => template === pathname)
    const [, item] = exact ?? matching[0] ?? []
    return verb && item?.[verb]
  }

  #responseOf({ responses }: Operation, status: number): Response | undefined {
    const response = responses[String(status)]
    if (!response || !('$ref' in response)) return response
    return this.document.components.responses[response.$ref.split('/').at(-1) ?? '']
  }
}

export type AnswerSeen = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** Every object anywhere in the document. */
export function everyObject(value: unknown, at = '#'): readonly Found[] {
  if (Array.isArray(value))
    return value.flatMap((item, index) => everyObject(item, `${at}/${index}`))
  if (typeof value !== 'object' || value === null) return []
  const own = { at, value: value as JsonObject }
  const below = Object.entries(value).flatMap(([name, member]) =>
    everyObject(member, `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  )
  return [own, ...below]
}

/** What a local reference leads to; undefined when it leads nowhere. */
export function follow(document: unknown, reference: string): unknown {
  const names = reference.slice('#/'.length).split('/')
  return names.reduce<unknown>(
    (value, name) => Reflect.get(Object(value), name.replaceAll('~1', '/').replaceAll('~0', '~')),
    document,
  )
}

/** The same schemas, but that an object has no members beside those that are named. */
function closed(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => closed(item))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => {
    // Each code adds members of its own to what all problems have.
    return [name, name === 'Problem' ? member : closed(member)] as const
  })
  const isOpen = 'properties' in value && value['type'] === 'object'
  const isFree = !isOpen || 'additionalProperties' in value
  return { ...Object.fromEntries(members), ...(isFree ? {} : { unevaluatedProperties: false }) }
}

function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json
}
