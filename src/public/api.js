// The page's way to the server: a session, requests with it, and a record of what was asked.

const KEY_SLOT = 'weir.key'
const RENEW_BEFORE_MS = 30_000

/** An answer that is not what was asked for; `code` is the one of problem+json. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `The server answered ${status}`)
    this.status = status
    this.code = body.code ?? `http_${status}`
    this.body = body
  }
}

let session = null
let record = () => {}

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
 * A token that is valid for the next half minute: the pasted key, else the session that the
 * embedded profile gives to a browser on the same machine.
 * @throws {Problem} `no_session` when the server has none to give
 */
export async function token() {
  const pasted = sessionStorage.getItem(KEY_SLOT)
  if (pasted !== null) return pasted
  if (session !== null && Date.parse(session.expiresAt) - Date.now() > RENEW_BEFORE_MS) {
    return session.token
  }
  const response = await send('GET', '/v1/dev/session', {})
  if (!response.ok) throw new Problem(response.status, { code: 'no_session' })
  session = await response.json()
  return session.token
}

async function send(method, path, options) {
  const started = performance.now()
  let status = 'failed'
  try {
    const response = await fetch(path, { method, ...options })
    status = response.status
    return response
  } catch {
    throw new Problem(0, { code: 'unreachable', detail: 'The server does not answer.' })
  } finally {
    record({ method, path, status, ms: performance.now() - started })
  }
}

async function problemOf(response) {
  const body = await response.json().catch(() => ({}))
  return new Problem(response.status, body)
}

/** One request with the session. Answers the response; throws {Problem} unless it is 2xx. */
export async function request(method, path, { body, headers } = {}) {
  const attempt = async () =>
    send(method, path, {
      headers: {
        authorization: `Bearer ${await token()}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  let response = await attempt()
  if (response.status === 401 && session !== null) {
    session = null
    response = await attempt()
  }
  if (!response.ok) throw await problemOf(response)
  return response
}

export const get = async (path) => (await request('GET', path)).json()

export const post = async (path, body, headers) =>
  (await request('POST', path, { body, headers })).json()

/** Names of one machine are interchangeable: a page at localhost may use what 127.0.0.1 signed. */
export function reachable(address) {
  const url = new URL(address, location.href)
  const local = ['localhost', '127.0.0.1', '[::1]']
  if (!local.includes(url.hostname) || !local.includes(location.hostname)) return url.href
  return url.port === location.port ? url.pathname + url.search : url.href
}

/** Uploads a file with a presigned PUT and answers its upload id. */
export async function upload(file) {
  const slot = await post('/v1/uploads', { contentType: file.type, bytes: file.size })
  const response = await send(slot.method, reachable(slot.url), {
    headers: slot.headers,
    body: file,
  })
  if (!response.ok) throw await problemOf(response)
  return slot.uploadId
}

/** Submits the job. The key makes a second click or a lost answer harmless. */
export const submit = (image, scale, idempotencyKey) =>
  post(
    '/v1/jobs',
    { type: 'image.upscale', input: { image, scale }, userId: 'page' },
    { 'idempotency-key': idempotencyKey },
  )

/** The finished picture. */
export async function resultOf(job) {
  const response = await request('GET', reachable(job.urls.result))
  return response.blob()
}
