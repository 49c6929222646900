import type { Server as HttpServer } from 'node:http'
import { Inject, Injectable } from '@nestjs/common'
import { Server } from 'socket.io'
import type { Socket } from 'socket.io'
import { accountStream } from '../../domain/account/account.ts'
import { requireAdmission } from '../../domain/account/standing.ts'
import { DomainError } from '../../domain/errors.ts'
import type { JobEventView } from '../../domain/job/job-view.ts'
import { Turns } from '../../domain/turns.ts'
import { Authenticator } from '../http/authenticator.ts'
import type { Tenant } from '../http/authenticator.ts'
import { tokenLengthMax } from '../http/credentials.ts'
import { refusalOf } from '../http/problem.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { Channels } from './channels.ts'
import { openJobSubscription } from './job-subscription.ts'
import { frameBytesMax, introductionMs, subscriptionsMax } from './socket-limits.ts'
import { readsMax, RequestBudget, requestNames, SocketsByOrg, Unread } from './socket-limits.ts'
import { channelOf, mayWatch, noSuchChannel, readRequest } from './socket-request.ts'

/** Where sockets connect. */
export const socketPath = '/v1/socket'

/** Keys of open sockets are looked at again this often, ms: a revoked one ends its sockets. */
const recheckMs = 3_000
/** Orgs or sockets looked at together, before everything else has its turn. */
const recheckedAtOnce = 200

/** A socket that is cut off has this long to read why, ms. */
const lastWordsMs = 1_000

type Ack = (answer: unknown) => void

/** A subscription that is being made. */
type Ask = {
  readonly channel: string
  readonly after: number | null
  /** Whether what the client has sent since ends it. */
  isOver: boolean
}

/** One socket, and what it hears. */
type Client = {
  readonly socket: Socket
  readonly principal: Tenant
  /** How to leave each channel. */
  readonly channels: Map<string, () => void>
  /** In the order in which they came. */
  readonly asks: Set<Ask>
  readonly turns: Turns
  readonly unread: Unread
  readonly emit: (event: string, message: object) => void
}

/** The Socket.IO server at /v1/socket. The server chooses what a socket hears, never the client. */
@Injectable()
export class Gateway {
  readonly #runtime: Runtime
  readonly #authenticator: Authenticator
  readonly #channels: Channels
  readonly #closing = new AbortController()
  readonly #sockets = new SocketsByOrg()
  #server: Server | null = null
  #unlisten: () => Promise<void> = () => Promise.resolve()

  constructor(
    @Inject(RUNTIME) runtime: Runtime,
    @Inject(Authenticator) authenticator: Authenticator,
    @Inject(Channels) channels: Channels,
  ) {
    this.#runtime = runtime
    this.#authenticator = authenticator
    this.#channels = channels
  }

  open(http: HttpServer): void {
    const { corsOrigins } = this.#runtime.config
    this.#server = new Server(http, {
      path: socketPath,
      serveClient: true,
      // Upgrades elsewhere are no business of sockets.
      destroyUpgrade: false,
      maxHttpBufferSize: frameBytesMax,
      connectTimeout: introductionMs,
      // Without a list no browser of another origin may connect.
      cors: { origin: [...corsOrigins] },
    })
    // In the engine's own middleware: guards of Nest do not run on connect.
    this.#server.use((socket, next) => {
      this.#admit(socket).then(
        () => next(),
        (error: unknown) => {
          next(connectError(error))
          // Once that is said: whoever was refused would only try again on the same connection.
          process.nextTick(() => this.#cutOff(socket))
        },
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
      typeof token === 'string' && token.length <= tokenLengthMax ? token : null,
    )
    if (principal.kind === 'operator') {
      throw new DomainError('forbidden', 'Sockets belong to organisations.')
    }
    await this.#requireWelcome(principal.orgId)
    if (!this.#sockets.hasRoom(principal.orgId)) {
      throw new DomainError('rate_limited', 'Your organisation has too many sockets open.')
    }
    socket.data = { principal, token }
  }

  #connected(socket: Socket): void {
    const { metrics } = this.#runtime
    const principal = principalOf(socket)
    metrics.socketOpened()
    this.#sockets.opened(principal.orgId)
    this.#limit(socket)
    const unread = unreadOf(socket)
    const client: Client = {
      ...{ socket, principal, channels: new Map(), asks: new Set() },
      ...{ turns: new Turns(readsMax), unread, emit: emitter(socket, unread) },
    }
    socket.on('subscribe', (request: unknown, ack: unknown) => {
      this.#subscribe(client, request, ack).catch((error: unknown) =>
        answerTo(ack)({ ok: false, code: refusalOf(error).code }),
      )
    })
    socket.on('unsubscribe', (request: unknown, ack: unknown) => {
      const channel = channelOf(request)
      // Nothing may be thrown here: it would end the process.
      if (channel === null) return answerTo(ack)({ ok: false, code: 'not_found' })
      for (const ask of client.asks) if (ask.channel === channel) ask.isOver = true
      client.channels.get(channel)?.()
      client.channels.delete(channel)
      answerTo(ack)({ ok: true })
    })
    socket.on('disconnect', () => {
      metrics.socketClosed()
      this.#sockets.closed(principal.orgId)
      for (const leave of client.channels.values()) leave()
      client.channels.clear()
    })
  }

  /** Requests beyond what a socket may ask are answered without a look at them. */
  #limit(socket: Socket): void {
    const { clock } = this.#runtime
    const budget = new RequestBudget(clock.now())
    socket.use((packet, next) => {
      const ack: unknown = packet.at(-1)
      // Whoever says too little, or too much, is answered too.
      packet.splice(1, packet.length, packet[1], ack)
      const mayAsk = budget.take(clock.now())
      if (mayAsk && requestNames.includes(packet[0])) return next()
      answerTo(ack)({ ok: false, code: mayAsk ? 'invalid_request' : 'rate_limited' })
      if (budget.isAbused) this.#cutOff(socket)
    })
  }

  /** Hears nothing more, and says what it has still to say if that is soon heard. */
  #cutOff({ conn }: Socket): void {
    if (conn.readyState !== 'open') return
    conn.close()
    const end = (): unknown => conn.close(true)
    this.#runtime.clock.sleep(lastWordsMs, this.#closing.signal).then(end, end)
  }

  async #subscribe(client: Client, request: unknown, ack: unknown): Promise<void> {
    const { asks, turns, unread } = client
    const ask: Ask = { ...readRequest(request), isOver: false }
    asks.add(ask)
    try {
      await turns.take(async () => {
        const answer = await this.#join(client, ask)
        if (!isAck(ack)) return
        unread.add()
        ack(answer)
        // The past of a job may be large: the next one is read when this one has left.
        await unread.left()
      })
    } finally {
      asks.delete(ask)
    }
  }

  async #join(client: Client, ask: Ask): Promise<unknown> {
    const { socket, principal } = client
    const { channel, after } = ask
    // It may have gone while others had their turn.
    if (socket.disconnected) throw noSuchChannel()
    requireRoom(client, channel)
    const { clock, metrics } = this.#runtime
    const emit = {
      update: (event: JobEventView) => {
        client.emit('update', { channel, ...event })
        metrics.pushed(clock.now() - Date.parse(event.at))
      },
      progress: (progress: object) => client.emit('progress', { channel, ...progress }),
      balance: (balance: unknown) => client.emit('update', { channel, balance }),
    }
    const keep = (leave: () => void): void => keepChannel(client, ask, leave)
    const [kind = '', id = ''] = channel.split(':')
    if (!mayWatch(principal, kind)) throw noSuchChannel()
    if (kind === 'job') {
      const ports = { runtime: this.#runtime, channels: this.#channels.jobs, principal }
      const { ack, leave } = await openJobSubscription(ports, id, after, emit)
      keep(leave)
      if (after !== null) metrics.resumed(ack.recovered ? 'recovered' : 'restarted')
      return ack
    }
    if (id !== principal.orgId) throw noSuchChannel()
    if (kind === 'org') keep(this.#channels.orgs.watch(id, emit.update))
    else if (kind === 'balance') keep(await this.#channels.balances.watch(id, emit.balance))
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
    const sockets = [...(this.#server?.sockets.sockets.values() ?? [])]
    const orgIds = sockets.map((socket) => dataOf(socket).principal?.orgId)
    const banned = new Set<string>()
    const asked = [...new Set(orgIds)].filter((id) => orgId === null || id === orgId)
    await this.#inGroups(asked, async (id) => {
      if (id === undefined) return
      await this.#requireWelcome(id).catch((error: unknown) => {
        if (error instanceof DomainError && error.code === 'account_banned') banned.add(id)
      })
    })
    sockets.forEach((socket, index) => {
      if (banned.has(orgIds[index] ?? '')) socket.disconnect(true)
    })
  }

  /** Ends the sockets of tokens that are no longer valid: revoked, or at their end. */
  async #recheck(): Promise<void> {
    const { clock } = this.#runtime
    while (!this.#closing.signal.aborted) {
      await clock.sleep(recheckMs, this.#closing.signal)
      await Promise.all([this.#dismissBanned(null), this.#recheckTokens()])
    }
  }

  async #recheckTokens(): Promise<void> {
    const sockets = [...(this.#server?.sockets.sockets.values() ?? [])]
    await this.#inGroups(sockets, async (socket) => {
      const { token } = dataOf(socket)
      if (await this.#authenticator.isOver(String(token))) socket.disconnect(true)
    })
  }

  /** One after the other, a thousand orgs would be looked at too late. */
  async #inGroups<T>(all: readonly T[], look: (one: T) => Promise<void>): Promise<void> {
    for (let from = 0; from < all.length; from += recheckedAtOnce) {
      await Promise.all(all.slice(from, from + recheckedAtOnce).map(look))
      await this.#runtime.clock.sleep(1, this.#closing.signal)
    }
  }
}

function hasRoom({ channels }: Client, channel: string): boolean {
  return channels.size < subscriptionsMax || channels.has(channel)
}

/** Begins what was asked for; while it was being made the client may have changed its mind. */
function keepChannel(client: Client, ask: Ask, leave: () => void): void {
  const { socket, channels, asks } = client
  const { channel } = ask
  if (socket.disconnected || ask.isOver) return leave()
  if (!hasRoom(client, channel)) leave()
  requireRoom(client, channel)
  channels.get(channel)?.()
  channels.set(channel, leave)
  for (const earlier of asks) {
    if (earlier === ask) break
    if (earlier.channel === channel) earlier.isOver = true
  }
}

function requireRoom(client: Client, channel: string): void {
  if (hasRoom(client, channel)) return
  throw new DomainError('rate_limited', `A socket has at most ${subscriptionsMax} channels.`)
}

function unreadOf({ conn }: Socket): Unread {
  const unread = new Unread()
  conn.on('packetCreate', ({ data }: { readonly data?: string | Buffer }) => {
    unread.grow(data?.length ?? 0)
  })
  conn.on('drain', () => unread.clear())
  conn.on('close', () => unread.clear())
  return unread
}

/** Sends to a client as long as it reads; one that does not can come back and resume. */
function emitter(socket: Socket, unread: Unread): Client['emit'] {
  return (event, message) => {
    if (unread.add()) socket.emit(event, message)
    else socket.conn.close(true)
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

function answerTo(ack: unknown): Ack {
  return (answer) => {
    if (isAck(ack)) ack(answer)
  }
}

function isAck(value: unknown): value is Ack {
  return typeof value === 'function'
}

function connectError(error: unknown): Error & { data: { code: string } } {
  const { message, code } = refusalOf(error)
  return Object.assign(new Error(message), { data: { code } })
}
