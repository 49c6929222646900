import pg from 'pg'

/** Deadlock detected, serialization failure: rolled back whole, and likely to succeed next time. */
const retryableCodes = new Set(['40P01', '40001'])

/**
 * Classes of errors that Postgres gives when it refuses the statement itself: bad data, a broken
 * constraint, wrong SQL, a program limit, RAISE.
 */
const definiteClasses = new Set(['22', '23', '42', '54', 'P0'])

export function isRetryable(error: unknown): boolean {
  return error instanceof pg.DatabaseError && retryableCodes.has(error.code ?? '')
}

/** Whether the statement surely did nothing. Of anything else one cannot know. */
export function isDefiniteFailure(error: unknown): boolean {
  return error instanceof pg.DatabaseError && definiteClasses.has(error.code?.slice(0, 2) ?? '')
}
