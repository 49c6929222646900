import { baseUrl, jobId, requestId } from './examples.ts'
import { sessionCookie } from '../session-cookie.ts'
import type { Header } from './openapi.ts'
import { text, url } from './schema.ts'

export const headers = {
  'x-request-id': {
    description:
      'Names this request in logs, problems and events. Yours is kept when it has 1 to 128 ' +
      'letters, digits, `_`, `.` or `-`.',
    schema: text('The id of the request.'),
    example: requestId,
  },
  Location: {
    description: 'Where the answer leads.',
    schema: url('An absolute URL.'),
    example: `${baseUrl}/v1/jobs/${jobId}`,
  },
  'Idempotent-Replayed': {
    description: 'The answer is the one that the first request with this Idempotency-Key got.',
    schema: { type: 'string', const: 'true' },
    example: 'true',
  },
  'Preference-Applied': {
    description: 'What was done with `Prefer` (RFC 7240).',
    schema: text('The preference, as it was given.'),
    example: 'wait=10',
  },
  'Retry-After': {
    description: 'Wait so many seconds before the next attempt.',
    schema: { type: 'integer', minimum: 1 },
    example: 1,
  },
  'RateLimit-Policy': {
    description:
      'The limit that is closest to its end, of those that counted the request: its name, `q` ' +
      'requests in `w` seconds (draft of the IETF).',
    schema: text('A policy.'),
    example: '"org-requests";q=5;w=60',
  },
  RateLimit: {
    description: 'What is left of it: `r` requests now, all of them again in `t` seconds.',
    schema: text('A state.'),
    example: '"org-requests";r=0;t=12',
  },
  'WWW-Authenticate': {
    description: 'The scheme that is asked for.',
    schema: { type: 'string', const: 'Bearer' },
    example: 'Bearer',
  },
  'Set-Cookie': {
    description: 'The session, for the browser to keep; empty and over when there is none.',
    schema: text('A cookie.'),
    example: `${sessionCookie}=weir_session_…; Path=/v1/admin; HttpOnly; SameSite=Strict`,
  },
  ETag: {
    description: 'The content: its SHA-256 in quotes.',
    schema: text('An entity tag.'),
    example: '"5f2b6c1de0a94b7c83d6f1a2459e7b08c1d3f5a7980b2e4c6d8f0a1b3c5d7e9f"',
  },
} as const satisfies Readonly<Record<string, Header>>

export type HeaderName = keyof typeof headers
