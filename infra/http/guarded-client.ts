import { isIP, type Socket } from 'node:net'
import { judgeAddress } from './forbidden-address.ts'
import { GuardedRequestError, messageOf } from './guarded-request-error.ts'
import { exchange, type GuardedAnswer } from './guarded-exchange.ts'
import { connectDirect, openSocket, secureSocket, type Connect } from './guarded-socket.ts'
import { checkOutboundUrl, hostOf, type OutboundRules, type UrlCheck } from './outbound-url.ts'
import { resolveAsSystem, resolvePublic, type Resolve } from './resolve.ts'

/** One request to an address that a customer named. */
export type GuardedRequest = {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** Over everything: DNS, connection, TLS, request, and the last byte of the answer. */
  readonly deadlineMs?: number
  /** Of the answer's body. */
  readonly responseBytesMax?: number
  readonly signal?: AbortSignal
}

/** A file to fetch. */
export type GuardedDownload = {
  readonly url: string
  readonly bytesMax: number
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
}

export type GuardedClientOptions = OutboundRules & {
  /** How names are resolved. By default as `allowPrivate` needs it. */
  readonly resolve?: Resolve
  /** How a connection to a checked address is opened. */
  readonly connect?: Connect
  /** PEM of an authority to trust instead of the public ones. */
  readonly certificateAuthority?: string
}

const guardedDeadlineMs = 15_000
const guardedResponseBytesMax = 64 * 1024

type Target = { readonly url: URL; readonly host: string }

/**
 * The one HTTP client for URLs that customers name. The order of its steps is its safety:
 *
 *   check the URL → resolve the name once → check every answer → connect to one of these very
 *   addresses → check the connected peer → TLS for the name → one request, one answer, close
 *
 * The connection is opened to the address and handed to the request, so nothing resolves the name
 * a second time and an answer that changes in between (DNS rebinding) changes nothing. Literal
 * addresses take the same way, without the resolver.
 *
 * It stands on node:net, node:tls and node:http. The fetch of Node 20 cannot be given a connection;
 * undici, which can, needs Node 22 since version 8. Built-in agents are not used: they keep
 * connections, and newer Node versions let environment variables send them through a proxy.
 */
export class GuardedClient {
  readonly #allowPrivate: boolean
  readonly #resolve: Resolve
  readonly #connect: Connect
  readonly #certificateAuthority: string | undefined

  constructor(options: GuardedClientOptions) {
    this.#allowPrivate = options.allowPrivate
    this.#resolve = options.resolve ?? (options.allowPrivate ? resolveAsSystem : resolvePublic)
    this.#connect = options.connect ?? connectDirect
    this.#certificateAuthority = options.certificateAuthority
  }

  /** What can be said of the URL without asking the DNS. By default under this client's rules. */
  check(url: string, rules: OutboundRules = { allowPrivate: this.#allowPrivate }): UrlCheck {
    return checkOutboundUrl(url, rules)
  }

  /**
   * Sends one request and reads the whole answer.
   *
   * @throws GuardedRequestError with a code; or the signal's reason, when the caller aborted
   */
  async request(request: GuardedRequest): Promise<GuardedAnswer> {
    const deadline = openDeadline(request.deadlineMs ?? guardedDeadlineMs, request.signal)
    let socket: Socket | null = null
    try {
      const target = this.#target(request.url)
      const addresses = await this.#addresses(target, deadline.signal)
      socket = await openSocket({
        addresses,
        port: portOf(target.url),
        connect: this.#connect,
        signal: deadline.signal,
      })
      if (target.url.protocol === 'https:') {
        const authority = this.#certificateAuthority
        socket = await secureSocket(socket, { host: target.host, authority }, deadline.signal)
      }
      return await exchange(socket, {
        method: request.method,
        url: target.url,
        headers: request.headers ?? {},
        body: request.body ?? '',
        bytesMax: request.responseBytesMax ?? guardedResponseBytesMax,
        signal: deadline.signal,
      })
    } finally {
      deadline.close()
      socket?.destroy()
    }
  }

  /**
   * Fetches a file.
   *
   * @throws GuardedRequestError; its `status` tells the answer that was not a 200
   */
  async download(
    download: GuardedDownload,
  ): Promise<{ readonly contentType: string | null; readonly body: Buffer }> {
    const { bytesMax, ...rest } = download
    const answer = await this.request({ ...rest, method: 'GET', responseBytesMax: bytesMax })
    if (answer.status !== 200) {
      const message = `The server answered ${answer.status} instead of 200.`
      throw new GuardedRequestError('protocol_error', message, answer.status)
    }
    const contentType = answer.headers['content-type']
    return { contentType: typeof contentType === 'string' ? contentType : null, body: answer.body }
  }

  #target(text: string): Target {
    const checked = this.check(text)
    if (!checked.ok) throw new GuardedRequestError('forbidden_address', checked.reason)
    const url = new URL(text)
    return { url, host: hostOf(url) }
  }

  async #addresses({ host }: Target, signal: AbortSignal): Promise<readonly string[]> {
    const addresses = isIP(host) === 0 ? await this.#lookUp(host, signal) : [host]
    for (const address of addresses) this.#refuseForbidden(host, address)
    return addresses
  }

  async #lookUp(host: string, signal: AbortSignal): Promise<readonly string[]> {
    const addresses = await untilAborted(this.#resolve(host, signal), signal).catch(
      (error: unknown) => {
        signal.throwIfAborted()
        throw new GuardedRequestError('dns_failed', `${host}: ${messageOf(error)}`)
      },
    )
    if (addresses.length > 0) return addresses
    throw new GuardedRequestError('dns_failed', `${host} has no address.`)
  }

  #refuseForbidden(host: string, address: string): void {
    const { reach, rule } = judgeAddress(address)
    if (reach === 'public' || (reach === 'private' && this.#allowPrivate)) return
    const message = `${host} is ${address}, which must not be called from here (${rule}).`
    throw new GuardedRequestError('forbidden_address', message)
  }
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

/**
 * A signal that aborts after `ms` or with the outer signal. Written out because AbortSignal.any
 * keeps a trace of each use on a long-lived signal until that one dies (Node 20).
 */
function openDeadline(ms: number, outer?: AbortSignal) {
  const controller = new AbortController()
  const timer = setTimeout(() => {
    const message = `No whole answer within ${ms} ms.`
    controller.abort(new GuardedRequestError('deadline_exceeded', message))
  }, ms)
  const onOuter = () => {
    controller.abort(outer?.reason)
  }
  if (outer?.aborted === true) onOuter()
  outer?.addEventListener('abort', onOuter, { once: true })
  const close = () => {
    clearTimeout(timer)
    outer?.removeEventListener('abort', onOuter)
  }
  return { signal: controller.signal, close }
}

/** Settles as the promise does, or rejects when the signal aborts, whichever comes first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(new Error('aborted'))
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort)
    })
  })
}
