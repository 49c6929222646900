import { invalid } from '../../domain/errors.ts'

/**
 * Whether the query of a URL can be decoded as UTF-8. In one that cannot its parser would take
 * `%ff` for those three letters.
 */
export function isReadableQuery(url: string): boolean {
  const at = url.indexOf('?')
  if (at < 0) return true
  try {
    decodeURIComponent(url.slice(at + 1))
    return true
  } catch {
    return false
  }
}

export const unreadableQuery = () =>
  invalid('invalid_request', [{ pointer: '?', detail: 'must be percent-encoded UTF-8' }])
