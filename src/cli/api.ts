import { randomUUID } from 'node:crypto'
import { readConfig } from '../config.ts'
import { readDevFile } from '../supervisor/dev-file.ts'
import { CliError, option } from './command.ts'
import type { Given } from './command.ts'

/** weir is not there, or cannot answer right now. */
export class WeirAway extends CliError {}

/** What came was not from weir, or only a part of it. */
class StrangeAnswer extends CliError {}

/** As whom a command calls the api. */
export type Caller = 'key' | 'admin'

type Access = { readonly baseUrl: string; readonly token: string }

type Request = {
  readonly method?: 'GET' | 'POST' | 'PUT'
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** From the environment, else from dev.json of the home. */
function accessOf(caller: Caller): Access {
  const environment = process.env
  const dev = readDevFile(readConfig().home)
  const variable = caller === 'key' ? 'WEIR_API_KEY' : 'WEIR_ADMIN_TOKEN'
  const baseUrl = environment['WEIR_URL'] ?? dev?.baseUrl
  const token = environment[variable] ?? (caller === 'key' ? dev?.apiKey : dev?.adminToken)
  if (baseUrl !== undefined && !isHttpUrl(baseUrl)) {
    throw new CliError(`WEIR_URL is no URL such as http://127.0.0.1:3000: ${baseUrl}`)
  }
  if (baseUrl !== undefined && token !== undefined) return { baseUrl, token }
  throw new CliError(
    `There is no weir to call: set WEIR_URL and ${variable}, or WEIR_HOME to the home of one.`,
  )
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

/** One request. @throws CliError when weir is not there or does not answer 2xx */
export async function callWeir(caller: Caller, path: string, request: Request = {}) {
  const { baseUrl, token } = accessOf(caller)
  const { method = 'GET', body, headers, signal } = request
  const response = await fetch(`${baseUrl.replace(/\/+$/, '')}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    // Fetch would follow with a GET, whose answer looks like success.
    redirect: method === 'GET' ? 'follow' : 'manual',
    ...(signal ? { signal } : {}),
  }).catch(() => null)
  if (response === null) throw new WeirAway(`weir does not answer at ${baseUrl}; is it running?`)
  if (response.ok) return response
  const problem: unknown = await response.json().catch(() => null)
  const detail = textAt(problem, 'detail') ?? response.statusText
  const told = `weir refused with ${response.status}: ${detail}`
  throw response.status === 503 ? new WeirAway(told) : new CliError(told)
}

/** The JSON of one request. @throws CliError */
export async function askWeir(caller: Caller, path: string, request: Request = {}) {
  const response = await callWeir(caller, path, request)
  try {
    const answer: unknown = await response.json()
    return answer
  } catch {
    throw new StrangeAnswer(`What ${response.url} answers is not weir's, or did not arrive whole.`)
  }
}

/**
 * The JSON of a POST that is done once, however often it is sent with the same `--idempotency-key`.
 *
 * @throws CliError which names the key, when nobody knows whether it was done
 */
export async function askOnce(caller: Caller, path: string, body: unknown, given: Given) {
  const key = option(given, 'idempotency-key') ?? randomUUID()
  const headers = { 'idempotency-key': key }
  try {
    return await askWeir(caller, path, { method: 'POST', body, headers })
  } catch (error) {
    if (!(error instanceof WeirAway || error instanceof StrangeAnswer)) throw error
    throw new CliError(`${error.message} To repeat it safely add --idempotency-key ${key}`)
  }
}

/** The member of an answer at a dotted path. */
export function memberAt(answer: unknown, path: string): unknown {
  let value = answer
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Reflect.get(value, name)
  }
  return value
}

/** The text of an answer at a dotted path. */
export function textAt(answer: unknown, path: string): string | undefined {
  const value = memberAt(answer, path)
  return typeof value === 'string' ? value : undefined
}
