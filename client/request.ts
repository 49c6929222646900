import type { Edge } from './edge.ts'
import { unreachable, WeirError } from './error.ts'
import type { Page, Problem } from './contract.ts'

const pauseMsMin = 200
const pauseMsMax = 5_000
/** A key whose first request asked weir to wait can stay locked for this much longer. */
const waitingLockMs = 60_000

/** Gives the token; `renew` says that weir has refused the last one. */
export type TokenSource = (asked: { readonly renew: boolean }) => string | Promise<string>

export type Limits = {
  /** How long a request is repeated, from its first attempt on, ms. */
  readonly retryForMs: number
  /** How long one attempt may take, ms. */
  readonly timeoutMs: number
  /** How long a lost connection of `watch` is mended before it fails, ms. */
  readonly reconnectForMs: number
}

/** Where weir is, as whom, and how patiently. */
export type Access = Edge &
  Limits & {
    /** Ends in a slash. */
    readonly baseUrl: URL
    readonly token: TokenSource
    /** Whether asking the source again may give another token. */
    readonly canRenew: boolean
  }

export type Call = {
  readonly method?: 'GET' | 'POST'
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** For a POST; made when it is not given. */
  readonly idempotencyKey?: string
  /** How long weir was asked to wait before it answers. */
  readonly waitSeconds?: number
  readonly signal?: AbortSignal | undefined
}

/** An answer that is fine. */
export type Answer = {
  readonly status: number
  /** After redirects. */
  readonly url: string
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer>
}

/** The JSON of an answer. @throws WeirError */
export async function ask<T>(access: Access, path: string, call: Call = {}): Promise<T> {
  const { status, body } = await request(access, path, call)
  try {
    return JSON.parse(new TextDecoder().decode(body)) as T
  } catch (cause) {
    const message = `The answer to ${path} is not weir's: it is no JSON.`
    throw new WeirError({ status, code: `http_${status}`, message, cause })
  }
}

/** The items of a list, page by page, as they are asked for. @throws WeirError */
export async function* list<T>(
  access: Access,
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  signal?: AbortSignal,
): AsyncGenerator<T, void, void> {
  const parameters = new URLSearchParams({ limit: '100' })
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  for (;;) {
    const page = await ask<Page<T>>(access, `${path}?${parameters}`, { signal })
    yield* page.items
    if (page.nextCursor === null) return
    parameters.set('cursor', page.nextCursor)
  }
}

/**
 * One request, repeated while that is safe and may help: every POST carries an Idempotency-Key, so
 * that a repetition never does it twice.
 *
 * @throws WeirError the last one, when it cannot help or `retryForMs` is over
 * @throws TypeError when the key cannot be sent
 */
export async function request(access: Access, path: string, call: Call = {}): Promise<Answer> {
  const { method = 'GET', signal, waitSeconds } = call
  const key = method === 'GET' ? undefined : (call.idempotencyKey ?? access.newKey())
  const forMs = access.retryForMs + (waitSeconds === undefined ? 0 : waitingLockMs)
  const url = new URL(path, access.baseUrl).href
  const headers = headersOf(call, key)
  const run = async (renew: boolean): Promise<Answer> => {
    const authorization = `Bearer ${await tokenOf(access, renew)}`
    return attempt(access, url, call, { authorization, ...headers })
  }
  return repeat(access, { forMs, signal }, async () => {
    try {
      return await run(false)
    } catch (error) {
      const isRefused = error instanceof WeirError && error.status === 401
      if (!isRefused || !access.canRenew) throw error
      return run(true)
    }
  })
}

type Repetition = { readonly forMs: number; readonly signal?: AbortSignal | undefined }

/** Repeats what fails with a transient WeirError, at growing intervals or when weir says. */
export async function repeat<T>(
  { now, sleep, random }: Edge,
  { forMs, signal }: Repetition,
  run: () => Promise<T>,
): Promise<T> {
  const until = now() + forMs
  for (let failures = 0; ; failures++) {
    try {
      return await run()
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof WeirError) || !error.isTransient) throw error
      const pauseMs = pauseAfter(error, failures, random)
      if (now() + pauseMs > until) throw error
      await sleep(pauseMs, signal)
      signal?.throwIfAborted()
    }
  }
}

/** Jitter keeps a crowd that was turned away together from coming back together. */
function pauseAfter(error: WeirError, failures: number, random: () => number): number {
  const jitter = random()
  if (error.retryAfterSeconds !== null) return error.retryAfterSeconds * 1_000 + jitter * pauseMsMin
  return Math.min(pauseMsMax, pauseMsMin * 2 ** failures) * (0.5 + jitter / 2)
}

/** @throws TypeError when a value cannot be one of a header: no repetition would mend that */
function headersOf(call: Call, key: string | undefined): Readonly<Record<string, string>> {
  const headers = new Headers({
    ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(key === undefined ? {} : { 'idempotency-key': key }),
    ...(call.waitSeconds === undefined ? {} : { prefer: `wait=${call.waitSeconds}` }),
    ...call.headers,
  })
  return Object.fromEntries(headers)
}

/** @throws WeirError of the source itself, else `unreachable` when it fails */
export async function tokenOf({ token }: Access, renew: boolean): Promise<string> {
  try {
    return await token({ renew })
  } catch (error) {
    if (error instanceof WeirError) throw error
    throw unreachable(`There is no token: ${messageOf(error)}`, error)
  }
}

function attempt(
  access: Access,
  url: string,
  { method = 'GET', body, signal, waitSeconds = 0 }: Call,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const init = {
    ...{ method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
    // Fetch would follow with a GET, whose answer looks like success.
    redirect: method === 'GET' ? ('follow' as const) : ('manual' as const),
  }
  return send(access, url, { ...init, signal: signal ?? null, waitMs: waitSeconds * 1_000 })
}

/** One attempt at any URL. @throws WeirError unless the answer is 2xx and arrived whole */
export async function send(
  { fetch, timeout, timeoutMs }: Access,
  url: string,
  { waitMs = 0, ...init }: RequestInit & { readonly waitMs?: number },
): Promise<Answer> {
  const limit = timeout(timeoutMs + waitMs)
  const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit
  let response: Response
  let body: Uint8Array<ArrayBuffer>
  try {
    response = await fetch(url, { ...init, signal })
    body = new Uint8Array(await response.arrayBuffer())
  } catch (error) {
    init.signal?.throwIfAborted()
    if (error instanceof WeirError) throw error
    const { origin } = new URL(url)
    const what = limit.aborted ? `within ${timeoutMs + waitMs} ms` : `(${reasonOf(error)})`
    throw unreachable(`${origin} did not answer ${what}`, error)
  }
  if (!response.ok) throw refusal(response, body)
  return { status: response.status, url: response.url, headers: response.headers, body }
}

/** Node hides why a fetch failed in the cause of its error. */
function reasonOf(error: unknown): string {
  const cause = typeof error === 'object' && error !== null && 'cause' in error ? error.cause : null
  return [messageOf(cause), messageOf(error), 'no reason'].find((text) => text !== '') ?? ''
}

function messageOf(error: unknown): string {
  const hasMessage = typeof error === 'object' && error !== null && 'message' in error
  return hasMessage ? String(error.message) : ''
}

function refusal(response: Response, body: Uint8Array): WeirError {
  const { status, headers } = response
  const problem = problemIn(new TextDecoder().decode(body))
  const retryAfter = headers.get('retry-after') ?? ''
  return new WeirError({
    status,
    code: typeof problem.code === 'string' ? problem.code : `http_${status}`,
    message: problem.detail ?? problem.title ?? `The server answered ${status}`,
    problem,
    retryAfterSeconds: /^\d+$/.test(retryAfter) ? Number(retryAfter) : null,
  })
}

/** Empty when the answer is of something in between, like a proxy. */
function problemIn(text: string): Partial<Problem> {
  try {
    const problem: unknown = JSON.parse(text)
    return typeof problem === 'object' && problem !== null ? problem : {}
  } catch {
    return {}
  }
}
