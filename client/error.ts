import type { FieldError, Problem } from './contract.ts'

const transientCodes = ['unreachable', 'corrupt_result', 'idempotency_in_flight']

/** What is known of a failure; an answer of weir fills it with its problem document. */
type Failure = {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number
  readonly code: string
  readonly message: string
  readonly problem?: Partial<Problem>
  readonly retryAfterSeconds?: number | null
  readonly cause?: unknown
}

/**
 * A refusal by weir, or no answer from it. Decide by `code`: those of weir stand in docs/errors.md;
 * the SDK's own are `unreachable`, `corrupt_result` and, for an answer that is none of weir's,
 * `http_<status>`.
 */
export class WeirError extends Error {
  override readonly name = 'WeirError'
  readonly status: number
  readonly code: string
  /** Names the request in weir's log. */
  readonly requestId: string | null
  /** The members of the request that are wrong. */
  readonly errors: readonly FieldError[]
  /** When weir wants to be asked again. */
  readonly retryAfterSeconds: number | null
  /** The whole document, with the members that the code adds. */
  readonly problem: Partial<Problem>

  constructor({ status, code, message, problem = {}, retryAfterSeconds, cause }: Failure) {
    super(message, cause === undefined ? {} : { cause })
    this.status = status
    this.code = code
    this.problem = problem
    this.requestId = problem.requestId ?? null
    this.errors = problem.errors ?? []
    this.retryAfterSeconds = retryAfterSeconds ?? null
  }

  /** Whether the same request may do better later. */
  get isTransient(): boolean {
    const { status, code } = this
    return status === 429 || status >= 500 || transientCodes.includes(code)
  }
}

/** No answer came, or not all of it. */
export function unreachable(message: string, cause?: unknown): WeirError {
  return new WeirError({ status: 0, code: 'unreachable', message, cause })
}
