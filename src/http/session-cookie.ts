import type { FastifyRequest } from 'fastify'
import { DomainError } from '../../domain/errors.ts'

/** The cookie of an operator's session. It is only sent to the admin's routes. */
export const sessionCookie = 'weir_admin_session'
const path = '/v1/admin'
const safeMethods = ['GET', 'HEAD']

/** What the browser is told to keep; a session that is over is kept for no second. */
export function setCookie(value: string, seconds: number, publicUrl: string): string {
  const secure = publicUrl.startsWith('https:') ? '; Secure' : ''
  const rules = `Path=${path}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`
  return `${sessionCookie}=${value}; ${rules}`
}

/** The session that a browser sends; null when it sends none. */
export function sessionOf({ headers }: FastifyRequest): string | null {
  for (const pair of (headers.cookie ?? '').split(';')) {
    const [name, value = ''] = pair.trim().split('=', 2)
    if (name === sessionCookie && value !== '') return value
  }
  return null
}

/**
 * Refuses what another site makes a browser send. `SameSite=Strict` keeps the cookie out of such
 * requests already, but not out of those from a sibling host, for which a site is one with ours.
 * Who sends neither `Origin` nor `Sec-Fetch-Site` is no browser, and brings its own cookie.
 *
 * @throws DomainError `forbidden`
 */
export function requireSameOrigin({ method, headers }: FastifyRequest, publicUrl: string): void {
  if (safeMethods.includes(method)) return
  const { origin, host } = headers
  const site = headers['sec-fetch-site'] ?? 'none'
  if (origin === undefined && (site === 'none' || site === 'same-origin')) return
  if (origin !== undefined && URL.canParse(origin)) {
    if (origin === new URL(publicUrl).origin || new URL(origin).host === host) return
  }
  throw new DomainError('forbidden', 'A session may not be used from another origin.')
}
