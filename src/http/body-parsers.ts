import type { FastifyInstance } from 'fastify'
import { DomainError } from '../../domain/errors.ts'
import { parseJsonBody } from './json-body.ts'

/** Bodies are JSON, or empty: then nobody cares what they are called. */
export function registerBodyParsers(instance: FastifyInstance): void {
  instance.removeAllContentTypeParsers()
  instance.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (_request, body, done) => {
      try {
        done(null, parseJsonBody(Buffer.from(body)))
      } catch (error) {
        done(error instanceof Error ? error : new Error('unreadable body'))
      }
    },
  )
  // `curl -d ''` and some forms name a type for nothing.
  instance.addContentTypeParser('*', ({ headers }, _payload, done) => {
    if (headers['content-length'] === '0') return done(null, undefined)
    done(new DomainError('unsupported_media_type', 'Send the body as application/json.'))
  })
}
