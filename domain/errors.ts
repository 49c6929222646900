/**
 * Every way in which weir refuses. docs/errors.md is generated from this table.
 * Only src/http knows that `status` is an HTTP status.
 */
export const errorTable = {
  invalid_request: { status: 400, title: 'The request does not have the expected form' },
  unauthenticated: { status: 401, title: 'A valid API key or token is needed' },
  insufficient_credits: { status: 402, title: 'The account cannot pay for this job' },
  forbidden: { status: 403, title: 'This key or token may not do that' },
  account_banned: { status: 403, title: 'The account is banned' },
  not_found: { status: 404, title: 'There is no such thing' },
  idempotency_in_flight: {
    status: 409,
    title: 'The first request with this Idempotency-Key is still being answered',
  },
  conflict: { status: 409, title: 'The state of the thing does not allow that' },
  too_large: { status: 413, title: 'The request is too large' },
  unsupported_media_type: { status: 415, title: 'The body has the wrong content type' },
  invalid_input: { status: 422, title: 'The input is not acceptable' },
  idempotency_mismatch: {
    status: 422,
    title: 'This Idempotency-Key was used with another request body',
  },
  rate_limited: { status: 429, title: 'Too many requests' },
  quota_exceeded: { status: 429, title: 'A quota is used up' },
  account_throttled: { status: 429, title: 'The account is throttled' },
  internal: { status: 500, title: 'Something went wrong on our side' },
  unavailable: { status: 503, title: 'weir cannot do this right now' },
} as const satisfies Record<string, { status: number; title: string }>

export type ErrorCode = keyof typeof errorTable

/** Points at one member of the request that is wrong (RFC 6901 pointer). */
export type FieldError = { readonly pointer: string; readonly detail: string }

/**
 * A refusal. `extra` holds the members that the code's contract names, as JSON values. Its cause is
 * for the log, and never told.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError'
  readonly code: ErrorCode
  readonly extra: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    detail: string,
    extra: Readonly<Record<string, unknown>> = {},
    options: { readonly cause?: unknown } = {},
  ) {
    super(detail, options)
    this.code = code
    this.extra = extra
  }
}

/** A refusal that names the members that are wrong. */
export function invalid(code: 'invalid_request' | 'invalid_input', errors: readonly FieldError[]) {
  const detail = errors.map((error) => `${error.pointer || '/'}: ${error.detail}`).join('; ')
  return new DomainError(code, detail, { errors })
}
