// The page's way to the server: the SDK, with a session of its own and a record of what was asked.

import { Weir, WeirError } from '/client/weir.js'

const KEY_SLOT = 'weir.key'
const RENEW_BEFORE_MS = 30_000
/** Who looks at a page does not wait longer for a server that is away. */
const RETRY_FOR_MS = 4_000

let session = null
let record = () => {}

/** What the page itself has to say, in the form of a refusal. */
export const problem = (code, message) => new WeirError({ status: 0, code, message })

/** Calls `listener` with { method, path, status, ms } after every request. */
export function onRequest(listener) {
  record = listener
}

export const hasPastedKey = () => sessionStorage.getItem(KEY_SLOT) !== null

export function useKey(key) {
  sessionStorage.setItem(KEY_SLOT, key)
  session = null
}

export function forgetKey() {
  sessionStorage.removeItem(KEY_SLOT)
  session = null
}

/**
 * The pasted key, else a token of the session that the embedded profile gives to a browser on the
 * same machine, valid for the next half minute.
 * @throws {WeirError} `no_session` when the server has none to give
 */
async function token({ renew }) {
  const pasted = sessionStorage.getItem(KEY_SLOT)
  if (pasted !== null) return pasted
  const isFresh = session !== null && Date.parse(session.expiresAt) - Date.now() > RENEW_BEFORE_MS
  if (isFresh && !renew) return session.token
  const response = await send('/v1/dev/session', {})
  if (!response.ok) throw problem('no_session', 'The server gives no session to this page.')
  session = await response.json()
  return session.token
}

async function send(url, init) {
  const { origin, pathname, search, href } = new URL(url, location.href)
  const path = origin === location.origin ? pathname + search : href
  const started = performance.now()
  let status = 'failed'
  try {
    const response = await fetch(path, init)
    status = response.status
    return response
  } catch {
    throw problem('unreachable', 'The server does not answer.')
  } finally {
    record({ method: init.method ?? 'GET', path, status, ms: performance.now() - started })
  }
}

/** The server that this page came from. */
export const weir = new Weir({
  baseUrl: location.origin,
  token,
  fetch: send,
  retryForMs: RETRY_FOR_MS,
})
