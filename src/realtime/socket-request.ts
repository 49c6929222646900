import { DomainError } from '../../domain/errors.ts'
import type { Tenant } from '../http/authenticator.ts'

// What a socket asks for: whatever it sends is read here.

/**
 * Whether such a channel is open at all to who asks: as the routes that tell the same. The whole
 * org is for its keys, and for the page's token; not for a client of one user, which sees its jobs.
 */
export function mayWatch({ kind: caller, scopes }: Tenant, kind: string): boolean {
  if (kind === 'balance') return scopes.includes('billing:read')
  return scopes.includes('jobs:read') || (kind === 'job' && caller === 'client')
}

/** The channel that a request names: `<kind>:<id>`; null when it names none. */
export function channelOf(request: unknown): string | null {
  const isObject = typeof request === 'object' && request !== null
  const channel: unknown = isObject && 'channel' in request ? request.channel : null
  return typeof channel === 'string' && /^[a-z]+:[\w-]{1,100}$/.test(channel) ? channel : null
}

/** @throws DomainError `not_found` or `invalid_request` when nothing can be read from it */
export function readRequest(request: unknown): { channel: string; after: number | null } {
  const channel = channelOf(request)
  if (channel === null) throw noSuchChannel()
  const isObject = typeof request === 'object' && request !== null
  const after: unknown = isObject && 'after' in request ? request.after : null
  if (after === null || after === undefined) return { channel, after: null }
  if (typeof after !== 'number' || !Number.isInteger(after) || after < -1) {
    throw new DomainError('invalid_request', '`after` is a revision.')
  }
  return { channel, after }
}

/** Also for what exists and is not theirs. */
export function noSuchChannel(): DomainError {
  return new DomainError('not_found', 'There is no such channel.')
}
