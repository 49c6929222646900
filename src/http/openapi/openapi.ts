import type { Json, JsonObject } from '../../../domain/json.ts'
import type { Schema } from './schema.ts'

// The part of OpenAPI 3.1 that weir writes.

export type Reference = { readonly $ref: string }

export type Example = { readonly summary?: string; readonly value: Json }

export type Examples = Readonly<Record<string, Example>>

export type MediaType = { readonly schema: Schema; readonly examples?: Examples }

export type Content = Readonly<Record<string, MediaType>>

export type Parameter = {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: true
  readonly description: string
  readonly schema: Schema
  readonly example?: Json
}

export type Header = {
  readonly description: string
  readonly schema: Schema
  readonly example?: Json
}

export type Response = {
  readonly description: string
  readonly headers?: Readonly<Record<string, Reference>>
  readonly content?: Content
}

export type SecurityRequirement = Readonly<Record<string, readonly string[]>>

export type Operation = {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description: string
  readonly security: readonly SecurityRequirement[]
  readonly parameters?: readonly (Parameter | Reference)[]
  readonly requestBody?: { readonly required: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, Response | Reference>>
}

export const methods = ['get', 'post', 'put', 'delete'] as const
export type Method = (typeof methods)[number]

export type PathItem = { readonly [Verb in Method]?: Operation }

export type SecurityScheme =
  | {
      readonly type: 'http'
      readonly scheme: 'bearer'
      readonly bearerFormat: string
      readonly description: string
    }
  | {
      readonly type: 'apiKey'
      readonly in: 'cookie'
      readonly name: string
      readonly description: string
    }

/** The sockets, for which OpenAPI has no words: an extension of our own. */
export type SocketContract = {
  readonly path: string
  readonly description: string
  readonly auth: Schema
  readonly channels: Readonly<Record<string, string>>
  /** What a client sends, and what it is answered. */
  readonly emit: Readonly<Record<string, SocketMessage & { readonly answer: MediaType }>>
  /** What the server sends. */
  readonly receive: Readonly<Record<string, SocketMessage>>
}

export type SocketMessage = { readonly description: string; readonly message: MediaType }

export type OpenApi = {
  readonly openapi: '3.1.1'
  readonly info: JsonObject & { readonly title: string; readonly description: string }
  readonly servers: readonly { readonly url: string; readonly description: string }[]
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, PathItem>>
  readonly webhooks: Readonly<Record<string, PathItem>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>
    readonly parameters: Readonly<Record<string, Parameter>>
    readonly headers: Readonly<Record<string, Header>>
    readonly responses: Readonly<Record<string, Response>>
    readonly securitySchemes: Readonly<Record<string, SecurityScheme>>
  }
  readonly 'x-socket-io': SocketContract
}
