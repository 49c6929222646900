import type { Server as HttpServer } from 'node:http'
import { Inject, Injectable } from '@nestjs/common'
import { Server } from 'socket.io'
import type { Socket } from 'socket.io'
import { accountStream } from '../../domain/account/account.ts'
import { requireAdmission } from '../../domain/account/standing.ts'
import { DomainError } from '../../domain/errors.ts'
import type { ErrorCode } from '../../domain/errors.ts'
import type { JobEventView } from '../../domain/job/job-view.ts'
import { Authenticator } from '../http/authenticator.ts'
import type { Tenant } from '../http/authenticator.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { JobChannels } from './job-channels.ts'
import { OrgChannels } from './org-channels.ts'
import { openJobSubscription } from './job-subscription.ts'

/** Channels of one socket. */
const subscriptionsMax = 1_000
/** Keys of open sockets are looked at again this often, ms: a revoked one ends its sockets. */
const recheckMs = 3_000
const frameBytesMax = 16_384

type Ack = (answer: unknown) => void

/** The Socket.IO server at /v1/socket. The server chooses what a socket hears, never the client. */
@Injectable()
export class Gateway {
  readonly #runtime: Runtime
  readonly #authenticator: Authenticator
  readonly #jobs: JobChannels
  readonly #orgs: OrgChannels
  readonly #closing = new AbortController()
  #server: Server | null = null
  #unlisten: () => Promise<void> = () => Promise.resolve()

  constructor(
    @Inject(RUNTIME) runtime: Runtime,
    @Inject(Authenticator) authenticator: Authenticator,
    @Inject(JobChannels) jobs: JobChannels,
    @Inject(OrgChannels) orgs: OrgChannels,
  ) {
    this.#runtime = runtime
    this.#authenticator = authenticator
    this.#jobs = jobs
    this.#orgs = orgs
  }

  open(http: HttpServer): void {
    const { corsOrigins } = this.#runtime.config
    this.#server = new Server(http, {
      path: '/v1/socket',
      serveClient: true,
      maxHttpBufferSize: frameBytesMax,
      // Without a list no browser of another origin may connect.
      cors: { origin: [...corsOrigins] },
    })
    // In the engine's own middleware: guards of Nest do not run on connect.
    this.#server.use((socket, next) => {
      this.#admit(socket).then(
        () => next(),
        (error: unknown) => next(connectError(error)),
      )
    })
    this.#server.on('connection', (socket) => this.#connected(socket))
    void this.#recheck()
    void this.#listen()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#unlisten()
    await this.#server?.close()
  }

  async #admit(socket: Socket): Promise<void> {
    const { token }: { token?: unknown } = socket.handshake.auth
    const principal = await this.#authenticator.authenticate(
      typeof token === 'string' && token.length <= 5_000 ? token : null,
    )
    if (principal.kind === 'operator') {
      throw new DomainError('forbidden', 'Sockets belong to organisations.')
    }
    await this.#requireWelcome(principal.orgId)
    socket.data = { principal, token }
  }

  #connected(socket: Socket): void {
    const { metrics } = this.#runtime
    metrics.socketOpened()
    const principal = principalOf(socket)
    const channels = new Map<string, () => void>()
    socket.on('subscribe', (request: unknown, ack: unknown) => {
      const answer = answerTo(ack)
      this.#subscribe(socket, principal, channels, request).then(answer, (error: unknown) =>
        answer({ ok: false, code: codeOf(error) }),
      )
    })
    socket.on('unsubscribe', (request: unknown, ack: unknown) => {
      const channel = channelOf(request)
      // Nothing may be thrown here: it would end the process.
      if (channel === null) return answerTo(ack)({ ok: false, code: 'not_found' })
      channels.get(channel)?.()
      channels.delete(channel)
      answerTo(ack)({ ok: true })
    })
    socket.on('disconnect', () => {
      metrics.socketClosed()
      for (const leave of channels.values()) leave()
      channels.clear()
    })
  }

  async #subscribe(
    socket: Socket,
    principal: Tenant,
    channels: Map<string, () => void>,
    request: unknown,
  ): Promise<unknown> {
    const { channel, after } = readRequest(request)
    if (channels.size >= subscriptionsMax) throw new DomainError('rate_limited', 'Too many.')
    const { clock, metrics } = this.#runtime
    const emit = {
      update: (event: JobEventView) => {
        socket.emit('update', { channel, ...event })
        metrics.pushed(clock.now() - Date.parse(event.at))
      },
      progress: (progress: object) => socket.emit('progress', { channel, ...progress }),
      balance: (balance: unknown) => socket.emit('update', { channel, balance }),
    }
    const keep = (leave: () => void): void => {
      channels.get(channel)?.()
      channels.set(channel, leave)
      // The socket may have gone while the subscription was being made.
      if (socket.disconnected) leave()
    }
    const [kind, id = ''] = channel.split(':')
    if (kind === 'job') {
      const ports = { runtime: this.#runtime, channels: this.#jobs, principal }
      const { ack, leave } = await openJobSubscription(ports, id, after, emit)
      keep(leave)
      if (after !== null) metrics.resumed(ack.recovered ? 'recovered' : 'restarted')
      return ack
    }
    if (id !== principal.orgId || !mayWatchOrg(principal)) throw noSuchChannel()
    if (kind === 'org') keep(this.#orgs.watchJobs(id, emit.update))
    else if (kind === 'balance') keep(this.#orgs.watchBalance(id, emit.balance))
    else throw noSuchChannel()
    return { ok: true, recovered: true, events: [] }
  }

  /** A banned org hears nothing live; what it reads over HTTP stays open to it. */
  async #requireWelcome(orgId: string): Promise<void> {
    const { accounts } = this.#runtime.pipelines
    requireAdmission((await accounts.load(accountStream(orgId))).state.standing)
  }

  async #listen(): Promise<void> {
    const { signals, log } = this.#runtime
    try {
      this.#unlisten = await signals.subscribe('access_changed', ({ orgId }) => {
        if (typeof orgId !== 'string') return
        this.#dismissBanned(orgId).catch((error: unknown) => {
          log.error({ err: error, orgId }, 'sockets could not be rechecked')
        })
      })
    } catch (error) {
      log.error({ err: error }, 'changes of access are not heard')
    }
  }

  /** Ends the sockets of orgs that were banned; null for a look at all of them. */
  async #dismissBanned(orgId: string | null): Promise<void> {
    const sockets = (await this.#server?.fetchSockets()) ?? []
    const orgIds = sockets.map((socket) => dataOf(socket).principal?.orgId)
    const banned = new Set<string>()
    for (const id of new Set(orgIds)) {
      if (id === undefined || (orgId !== null && id !== orgId)) continue
      await this.#requireWelcome(id).catch((error: unknown) => {
        if (error instanceof DomainError && error.code === 'account_banned') banned.add(id)
      })
    }
    sockets.forEach((socket, index) => {
      if (banned.has(orgIds[index] ?? '')) socket.disconnect(true)
    })
  }

  /** Ends the sockets of tokens that are no longer valid: revoked, or at their end. */
  async #recheck(): Promise<void> {
    const { clock } = this.#runtime
    while (!this.#closing.signal.aborted) {
      await clock.sleep(recheckMs, this.#closing.signal)
      await this.#dismissBanned(null).catch(() => undefined)
      const sockets = await this.#server?.fetchSockets()
      for (const socket of sockets ?? []) {
        const { token } = dataOf(socket)
        await this.#authenticator.authenticate(String(token)).catch((error: unknown) => {
          if (error instanceof DomainError && error.code === 'unauthenticated') {
            socket.disconnect(true)
          }
        })
      }
    }
  }
}

type SocketData = { readonly principal?: Tenant; readonly token?: unknown }

/** What `#admit` has put there; Socket.IO types it as anything. */
function dataOf(socket: { readonly data: unknown }): SocketData {
  const { data } = socket
  return typeof data === 'object' && data !== null ? data : {}
}

function principalOf(socket: Socket): Tenant {
  const { principal } = dataOf(socket)
  if (!principal) throw new Error('a socket connected without a principal')
  return principal
}

/** The whole org is for its keys, and for the page's token; not for a client of one user. */
function mayWatchOrg(principal: Tenant): boolean {
  return principal.scopes.includes('jobs:read')
}

/** The channel that a request names: `<kind>:<id>`; null when it names none. */
function channelOf(request: unknown): string | null {
  const isObject = typeof request === 'object' && request !== null
  const channel: unknown = isObject && 'channel' in request ? request.channel : null
  return typeof channel === 'string' && /^[a-z]+:[\w-]{1,100}$/.test(channel) ? channel : null
}

function readRequest(request: unknown): { channel: string; after: number | null } {
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

function answerTo(ack: unknown): Ack {
  return (answer) => {
    if (isAck(ack)) ack(answer)
  }
}

function isAck(value: unknown): value is Ack {
  return typeof value === 'function'
}

function noSuchChannel(): DomainError {
  return new DomainError('not_found', 'There is no such channel.')
}

function codeOf(error: unknown): ErrorCode {
  return error instanceof DomainError ? error.code : 'internal'
}

function connectError(error: unknown): Error & { data: { code: string } } {
  const message = error instanceof DomainError ? error.message : 'weir cannot do this right now'
  return Object.assign(new Error(message), { data: { code: codeOf(error) } })
}
