/**
 * An attempt failed in a way the customer should read about. A retryable one is tried again while
 * attempts are left; the code is for programs, the message a sentence for people.
 */
export class JobError extends Error {
  override readonly name = 'JobError'
  readonly code: string
  readonly retryable: boolean

  constructor(
    problem: { readonly code: string; readonly message: string; readonly retryable: boolean },
    options?: ErrorOptions,
  ) {
    super(problem.message, options)
    this.code = problem.code
    this.retryable = problem.retryable
  }
}
