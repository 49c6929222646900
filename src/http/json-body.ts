import { parse } from 'secure-json-parse'
import { DomainError } from '../../domain/errors.ts'

/** Largest request body, bytes. */
export const bodyBytesMax = 10_000_000
/** Deepest nesting of a body; a deeper one can break whatever serialises it later. */
export const jsonDepthMax = 32

const quote = 0x22
const backslash = 0x5c

/**
 * Parses a body that nobody trusts: depth first, before any work, then syntax and keys that would
 * reach a prototype.
 *
 * @throws DomainError `invalid_request`
 */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined
  if (depthOf(bytes) > jsonDepthMax) {
    throw new DomainError('invalid_request', `The body is nested deeper than ${jsonDepthMax}.`)
  }
  const text = decode(bytes)
  try {
    const body: unknown = parse(text, { protoAction: 'error', constructorAction: 'error' })
    if (!isFinite(body)) throw new Error('a number is too large')
    return body
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unreadable'
    throw new DomainError(
      'invalid_request',
      `The body is not JSON that we take: ${why}`.slice(0, 300),
    )
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new DomainError('invalid_request', 'The body is not UTF-8.')
  }
}

function depthOf(bytes: Buffer): number {
  let depth = 0
  let deepest = 0
  let inText = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (inText) {
      if (byte === backslash) at += 1
      else if (byte === quote) inText = false
    } else if (byte === quote) inText = true
    else if (byte === 0x7b || byte === 0x5b) deepest = Math.max(deepest, ++depth)
    else if (byte === 0x7d || byte === 0x5d) depth -= 1
  }
  return deepest
}

/** A number that no double holds would be stored as null. */
function isFinite(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value !== 'object' || value === null || Object.values(value).every(isFinite)
}
