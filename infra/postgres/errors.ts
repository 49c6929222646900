import { types } from 'node:util'
import pg from 'pg'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'

/** Deadlock detected, serialization failure: rolled back whole, and likely to succeed next time. */
const retryableCodes = new Set(['40P01', '40001'])

/** Whether somebody else held what was wanted for longer than `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '55P03'
}

/**
 * Classes of errors that Postgres gives when it refuses the statement itself: bad data, a broken
 * constraint, wrong SQL, a program limit, RAISE.
 */
const definiteClasses = new Set(['22', '23', '42', '54', 'P0'])

export function isRetryable(error: unknown): boolean {
  return error instanceof pg.DatabaseError && retryableCodes.has(error.code ?? '')
}

/** Classes of errors that tell of the server's state, not of the statement. */
const serverClasses = new Set([
  // Connection; resources such as disk and connections; an operator, a shutdown, a time limit.
  ...['08', '53', '57'],
  // The transaction was ended from outside.
  '25P',
])

/** What the driver says without a code: of a connection, of the pool, of a limit of time. */
const driverErrors =
  /^(Connection terminated|timeout|Query read timeout|Client (has encountered|was closed))/

/** The error, or `EngineUnavailable` when it tells that Postgres does not answer. */
export function orUnavailable(error: unknown): unknown {
  if (!isAway(error)) return error
  return new EngineUnavailable('Postgres does not answer', { cause: error })
}

function isAway(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) {
    const { code = '' } = error
    return serverClasses.has(code.slice(0, 2)) || serverClasses.has(code.slice(0, 3))
  }
  if (!types.isNativeError(error)) return false
  // Several addresses of one host make an AggregateError.
  return 'syscall' in error || error.name === 'AggregateError' || driverErrors.test(error.message)
}

/** Whether the statement surely did nothing. Of anything else one cannot know. */
export function isDefiniteFailure(error: unknown): boolean {
  return error instanceof pg.DatabaseError && definiteClasses.has(error.code?.slice(0, 2) ?? '')
}
