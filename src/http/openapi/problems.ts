import type { JsonObject } from '../../../domain/json.ts'
import { DomainError, errorTable, invalid } from '../../../domain/errors.ts'
import type { ErrorCode, FieldError } from '../../../domain/errors.ts'
import { bodyBytesMax } from '../json-body.ts'
import { problemBody } from '../problem.ts'
import { requestId } from './examples.ts'
import type { Examples, Response } from './openapi.ts'
import { amount, jsonOf, listOf, object, ref, text, time } from './schema.ts'
import type { Schema } from './schema.ts'

/** A refusal of a route: when it happens, and one that did. */
export type Refusal = { readonly when: string; readonly error: DomainError }

export const codes = Object.keys(errorTable).filter(isErrorCode)

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code)
}

/** What routes refuse that say nothing special about it. */
export const usualRefusals = {
  invalid_request: {
    when: 'The request does not have the form that is described here; `errors` says where.',
    error: invalid('invalid_request', [{ pointer: '/type', detail: 'is required' }]),
  },
  unauthenticated: {
    when: 'There is no key or token, or it is malformed, unknown, revoked or expired.',
    error: new DomainError('unauthenticated', 'This API key is unknown or was revoked.'),
  },
  forbidden: {
    when: 'The key or token is valid, and does not reach as far as this route.',
    error: new DomainError('forbidden', 'This API key may not call this route.'),
  },
  not_found: {
    when: 'It is not there, or it belongs to somebody else.',
    error: new DomainError('not_found', 'There is no such job.'),
  },
  idempotency_in_flight: {
    when: 'The first request with this Idempotency-Key is still being answered; try again.',
    error: new DomainError('idempotency_in_flight', 'The first request is still in work.'),
  },
  too_large: {
    when: `The body has more than ${bodyBytesMax} bytes.`,
    error: new DomainError('too_large', `A body has at most ${bodyBytesMax} bytes.`),
  },
  unsupported_media_type: {
    when: 'The body is not `application/json`.',
    error: new DomainError('unsupported_media_type', 'Send the body as application/json.'),
  },
  idempotency_mismatch: {
    when: 'This Idempotency-Key was used with another body in the last 24 hours.',
    error: new DomainError(
      'idempotency_mismatch',
      'This Idempotency-Key was used with another body; a new request needs a new key.',
    ),
  },
  internal: {
    when: 'A fault of weir. Nothing leaks but the request id, which leads to the reason.',
    error: new DomainError('internal', 'Something went wrong; the request id leads to the reason.'),
  },
  unavailable: {
    when: 'weir cannot do this right now; try again after `Retry-After`.',
    error: new DomainError('unavailable', 'Too many writers at once; try again.'),
  },
} as const satisfies Partial<Record<ErrorCode, Refusal>>

export type UsualCode = keyof typeof usualRefusals

/** When to come back, and what was used up until then. */
const limitMembers: JsonObject = {
  limit: { type: ['integer', 'string'], description: 'What there is per window.' },
  scope: text('Whose: org, user, provider or jobType.'),
  used: { type: ['integer', 'string'], description: 'What of it is used.' },
  resetAt: time('When the next one fits.'),
  policy: text('Its name in the `RateLimit` headers.'),
  windowSeconds: { type: 'number', description: 'How long the window is.' },
  retryAfterSeconds: { type: 'integer', minimum: 1, description: 'As in `Retry-After`.' },
}

/** The members that a code has beside the common ones. */
const extraMembers: Partial<Record<ErrorCode, JsonObject>> = {
  invalid_request: { errors: listOf(ref('FieldError'), 'What is wrong, member by member.') },
  invalid_input: { errors: listOf(ref('FieldError'), 'What is wrong, member by member.') },
  insufficient_credits: {
    required: amount('What the job needs at most, micro-credits.'),
    available: amount('What there is, micro-credits.'),
    held: amount('What other jobs hold, micro-credits.'),
  },
  rate_limited: limitMembers,
  quota_exceeded: limitMembers,
  account_throttled: limitMembers,
}
/** A body that cannot be read at all has no members that one could point at. */
const optionalMembers: Partial<Record<ErrorCode, readonly string[]>> = {
  invalid_request: ['errors'],
}

const problem = object<ReturnType<typeof problemBody>>('A refusal (RFC 9457).', {
  type: { type: 'string', format: 'uri', description: '`urn:weir:error:<code>`.' },
  title: text('What the code means; the same for every refusal with it.'),
  status: { type: 'integer', description: 'The HTTP status.' },
  detail: text('What happened here, for people.'),
  code: {
    type: 'string',
    enum: codes,
    description: 'For programs: decide by it, its meaning never changes.',
  },
  requestId: text('Names the request in the logs.'),
})

export const problemSchemas: Readonly<Record<string, Schema>> = {
  Problem: problem,
  FieldError: object<FieldError>('One finding about a request.', {
    pointer: text(
      'The member (RFC 6901), e.g. `/input/scale`; `?name` for a parameter, or a header’s name.',
    ),
    detail: text('The rest of a sentence about it.'),
  }),
  ...Object.fromEntries(codes.map((code) => [problemName(code), schemaOf(code)])),
}

function schemaOf(code: ErrorCode): Schema {
  const { status, title } = errorTable[code]
  const extra = extraMembers[code] ?? {}
  const mayMiss = optionalMembers[code] ?? []
  const required = Object.keys(extra).filter((name) => !mayMiss.includes(name))
  return {
    description: `${title}.`,
    allOf: [ref('Problem')],
    type: 'object',
    required: ['code', ...required],
    properties: { code: { const: code }, status: { const: status }, ...extra },
  }
}

/** `not_found` → `NotFoundProblem`. */
export function problemName(code: ErrorCode): string {
  const words = code.split('_').map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
  return `${words.join('')}Problem`
}

/** The refusals that share a status. */
export function refusalResponse(refusals: readonly Refusal[]): Response {
  const schemas = refusals.map(({ error }) => ref(problemName(error.code)))
  const [schema = ref('Problem'), ...others] = schemas
  const examples: Examples = Object.fromEntries(
    refusals.map(({ when, error }) => {
      return [error.code, { summary: when, value: jsonOf(problemBody(error, requestId)) }]
    }),
  )
  const description = refusals.map(({ when, error }) => `\`${error.code}\`: ${when}`).join('\n\n')
  return {
    description,
    content: {
      'application/problem+json': {
        schema: others.length === 0 ? schema : { oneOf: schemas },
        examples,
      },
    },
  }
}
