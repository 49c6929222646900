import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { DomainError } from '../../domain/errors.ts'
import { parseJsonBody } from './json-body.ts'

/** Bodies are JSON, or empty: then nobody cares what they are called. */
export function registerBodyParsers(instance: FastifyInstance): void {
  instance.removeAllContentTypeParsers()
  instance.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    ({ headers }, body, done) => {
      try {
        requirePlain(headers['content-encoding'])
        done(null, parseJsonBody(Buffer.from(body)))
      } catch (error) {
        done(error instanceof Error ? error : new Error('unreadable body'))
      }
    },
  )
  // `curl -d ''` and some forms name a type for nothing.
  instance.addContentTypeParser('*', async ({ headers }: FastifyRequest, payload: Readable) => {
    const other = new DomainError('unsupported_media_type', 'Send the body as application/json.')
    if (headers['content-length'] === '0') return undefined
    if (headers['content-length'] !== undefined) throw other
    // Of one in chunks only its end tells that it is empty.
    for await (const chunk of payload.iterator({ destroyOnReturn: false })) if (chunk) throw other
    return undefined
  })
}

/** A packed body would be read as it comes, and only be called unreadable. */
function requirePlain(encoding: string | undefined): void {
  if (encoding === undefined || encoding.trim().toLowerCase() === 'identity') return
  const detail = 'Send the body without Content-Encoding: packed ones are not read.'
  throw new DomainError('unsupported_media_type', detail)
}
