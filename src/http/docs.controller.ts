import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { Controller, Get, Inject, Req } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { Public } from './access.ts'
import { Answer } from './answer.ts'
import { isKnown } from './entity-tag.ts'
import { docsPage } from './openapi/docs-page.ts'
import { openApiDocument } from './openapi/document.ts'
import type { OpenApi } from './openapi/openapi.ts'

type DocumentFile = { readonly bytes: Buffer; readonly headers: Readonly<Record<string, string>> }

// The page is styled text: no script, no frame, nothing from elsewhere.
const contentSecurityPolicy = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/**
 * The interface described: for programs, and for people. Each is made when it is first asked for:
 * together they took a fifth of an api's start.
 */
@Controller('v1')
export class DocsController {
  readonly #document: () => OpenApi
  #file: DocumentFile | undefined
  #page: DocumentFile | undefined

  constructor(@Inject(RUNTIME) { config, jobTypes }: Runtime) {
    this.#document = () => openApiDocument({ baseUrl: config.publicUrl, jobTypes })
  }

  @Get('openapi.json')
  @Public()
  openapi(@Req() request: FastifyRequest): Answer {
    this.#file ??= documentFile(JSON.stringify(this.#document()), 'application/json; charset=utf-8')
    return send(request, this.#file)
  }

  @Get('docs')
  @Public()
  docs(@Req() request: FastifyRequest): Answer {
    this.#page ??= documentFile(docsPage(this.#document()), 'text/html; charset=utf-8')
    return send(request, this.#page)
  }
}

function documentFile(text: string, contentType: string): DocumentFile {
  const bytes = Buffer.from(text)
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
  return {
    bytes,
    headers: {
      ...{ etag, 'cache-control': 'no-cache', 'content-type': contentType },
      'content-security-policy': contentSecurityPolicy,
      'referrer-policy': 'no-referrer',
    },
  }
}

function send(request: FastifyRequest, { bytes, headers }: DocumentFile): Answer {
  const isThere = isKnown(request.headers['if-none-match'], headers['etag'] ?? '')
  if (isThere) return new Answer(304, undefined, { ...headers })
  return new Answer(200, Readable.from(bytes), headers)
}
