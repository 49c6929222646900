import { setTimeout as sleep } from 'node:timers/promises'
import streamsGrpc from '@eventstore/db-client/generated/streams_grpc_pb.js'
import type { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import { Channel, Metadata } from '@grpc/grpc-js'
import { ConnectionClosed, leaderOf, provesConnectionBad } from './errors.ts'
import { readConnectionString, type EndPoint, type Settings } from './settings.ts'

/** A channel to one node, for as long as it is good. */
export type Link = {
  readonly streams: StreamsClient
  /** Aborts when the link was given up: calls that last begin again on the next one. */
  readonly dropped: AbortSignal
}

export type ConnectionOptions = {
  /** After that long an append's outcome counts as unknown, ms. */
  readonly appendMs?: number
  /** After that long a read is given up, with all its tries, ms. */
  readonly readMs?: number
}

type OpenLink = Link & {
  readonly channel: Channel
  /** By the process's own clock, ms. */
  readonly openedAt: number
  readonly node: EndPoint
  readonly drop: AbortController
}

/**
 * A server gives an append up after 2 or 3 s by itself, and there is time for another try; a dead
 * connection is found after 15 s.
 */
const appendMsByDefault = 5_000
const readMsByDefault = 10_000
/** A link that never answered is waited for no longer than that: keep-alives find a dead one. */
const patienceMsMax = 15_000
const pauseMsMin = 50
const pauseMsMax = 1_000
/** Servers write events of up to 16 MB. */
const messageBytesMax = 17 * 1024 * 1024

/**
 * The one connection of a process to EventStoreDB. A link that an error proved bad is dropped, and
 * the next caller opens another: to the leader when the error named it, else to the node that the
 * connection string or the cluster gives, after a pause that grows while nothing answers.
 *
 *   none ──link()──▶ connecting ──▶ open ──drop()──▶ none      (close() from anywhere)
 *
 * The package's own Client is not used. An error on one of its append streams rejects the appends
 * of all of its streams, and the next answer on another one then throws where nobody can catch it;
 * its discovery can reject unheard; and its channels wait up to two minutes before they try a node
 * again that was away. Its messages, stubs, connection strings and discovery are used.
 */
export class EventStoreDbConnection {
  readonly appendMs: number
  readonly readMs: number
  readonly #settings: Settings
  readonly #metadata: Metadata
  readonly #closing = new AbortController()
  #link: Promise<OpenLink> | null = null
  #open: OpenLink | null = null
  /** Links that were dropped since something last answered. */
  #failures = 0
  #failed: EndPoint | undefined
  #leader: EndPoint | null = null

  /** @throws Error when the connection string cannot be read */
  constructor(connectionString: string, applicationName: string, options: ConnectionOptions = {}) {
    this.appendMs = options.appendMs ?? appendMsByDefault
    this.readMs = options.readMs ?? readMsByDefault
    this.#settings = readConnectionString(connectionString)
    this.#metadata = new Metadata()
    this.#metadata.set('connection-name', applicationName)
    this.#metadata.set('requires-leader', 'true')
    const { authorization } = this.#settings
    if (authorization !== null) this.#metadata.set('authorization', authorization)
  }

  /** Headers of every call. */
  get metadata(): Metadata {
    return this.#metadata
  }

  /** The link to use now. It is open, which does not say that somebody answers. */
  link(): Promise<Link> {
    if (this.#closing.signal.aborted) return Promise.reject(new ConnectionClosed())
    this.#link ??= this.#connect()
    return this.#link
  }

  /** To be told of every answer. */
  answered(): void {
    this.#failures = 0
  }

  /** To be told of every error. When it proves the link bad, the next caller gets another one. */
  failed(link: Link, error: unknown): void {
    const leader = leaderOf(error)
    if (leader || provesConnectionBad(error)) this.#giveUp(link, leader)
  }

  /**
   * To be told when nothing at all was answered for as long as an append may take. True when the
   * link was given up for it. The longer nothing answers, the longer the next link may take to: on
   * a busy machine it can be connected to later than an append is given up, and links that are all
   * dropped at that age would never answer.
   */
  silent(link: Link): boolean {
    if (link !== this.#open) return true
    const patienceMs = Math.min(this.appendMs * (1 + this.#failures), patienceMsMax)
    const ageMs = performance.now() - this.#open.openedAt
    if (ageMs < patienceMs) return false
    this.#giveUp(link, null)
    return true
  }

  /** Ends every call with an error, and the connection. */
  close(): void {
    this.#closing.abort(new ConnectionClosed())
    this.#drop()
  }

  #giveUp(link: Link, leader: EndPoint | null): void {
    if (link !== this.#open) return
    this.#leader = leader
    this.#failed = this.#open.node
    this.#failures += 1
    this.#drop()
  }

  #drop(): void {
    const link = this.#open
    this.#link = null
    this.#open = null
    link?.drop.abort()
    link?.channel.close()
  }

  async #connect(): Promise<OpenLink> {
    try {
      const { signal } = this.#closing
      // One failure is what a change of the leader or a restart looks like: the next try is free.
      const pauseMs = this.#failures < 2 ? 0 : pauseMsMin * 2 ** (this.#failures - 2)
      if (pauseMs > 0) await sleep(Math.min(pauseMs, pauseMsMax), undefined, { signal })
      const node = this.#leader ?? (await this.#settings.findNode(this.#failed))
      signal.throwIfAborted()
      this.#leader = null
      this.#open = this.#openLink(node)
      return this.#open
    } catch (error) {
      this.#link = null
      this.#failures += 1
      throw error
    }
  }

  #openLink(node: EndPoint): OpenLink {
    const { credentials, keepAliveMs, keepAliveTimeoutMs } = this.#settings
    const channel = new Channel(`${node.address}:${node.port}`, credentials, {
      'grpc.keepalive_time_ms': keepAliveMs,
      'grpc.keepalive_timeout_ms': keepAliveTimeoutMs,
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_send_message_length': messageBytesMax,
      // Pauses between tries are made here; the pool would keep those of channels long closed.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': pauseMsMin,
      'grpc.max_reconnect_backoff_ms': pauseMsMax,
    })
    const streams = new streamsGrpc.StreamsClient('', credentials, { channelOverride: channel })
    const drop = new AbortController()
    const openedAt = performance.now()
    return { channel, openedAt, streams, node, drop, dropped: drop.signal }
  }
}
