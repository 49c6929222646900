/** Why a guarded request gave no answer. */
export type GuardedRequestCode =
  /** The URL, or an address that its host resolves to, may not be called. */
  | 'forbidden_address'
  | 'dns_failed'
  | 'connect_failed'
  | 'tls_failed'
  /** The whole request, from the DNS to the last byte of the answer, took too long. */
  | 'deadline_exceeded'
  /** The answer has more bytes than the caller accepts. */
  | 'too_large'
  /** The peer does not speak HTTP, or went away in the middle of its answer. */
  | 'protocol_error'

/** A request that failed; with the beginning of the answer, when the peer had already begun one. */
export class GuardedRequestError extends Error {
  override readonly name = 'GuardedRequestError'
  readonly code: GuardedRequestCode
  readonly status: number | null
  /** The header `Retry-After` as it came. */
  readonly retryAfter: string | null

  constructor(
    code: GuardedRequestCode,
    message: string,
    status: number | null = null,
    retryAfter: string | null = null,
  ) {
    super(message)
    this.code = code
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** The message of a thrown value of the Node modules, whose errors sometimes are empty. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return error.message === '' ? code : error.message
}
