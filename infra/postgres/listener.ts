import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { connectionConfig } from './pool.ts'

/** What somebody does with the notifications of a channel. */
export type Hearer = {
  readonly heard: (payload: string) => void
  /** The connection was away: notifications may have been missed. */
  readonly missed: () => void
}

const backoffMsMin = 100
const backoffMsMax = 5_000
const heartbeatMs = 15_000
const queryTimeoutMs = 5_000

/**
 * The one LISTEN connection of a process. It connects when first needed, and again by itself for
 * as long as it is not closed; a heartbeat finds connections that died without a word.
 */
export class PostgresListener {
  readonly #config: pg.ClientConfig
  readonly #hearers = new Map<string, Set<Hearer>>()
  readonly #closing = new AbortController()
  #running: Promise<void> | null = null
  #client: pg.Client | null = null
  #previous: Promise<void> = Promise.resolve()
  /** Those who wait for a connection. */
  #waiting: (() => void)[] = []

  constructor(url: string, applicationName: string) {
    this.#config = { ...connectionConfig(url, applicationName), query_timeout: queryTimeoutMs }
  }

  /**
   * Calls the hearer for every notification of the channel until the returned function is called.
   * Resolves when Postgres listens, which takes as long as it is away.
   */
  async listen(channel: string, hearer: Hearer): Promise<() => Promise<void>> {
    const hearers = this.#hearers.get(channel) ?? new Set()
    hearers.add(hearer)
    this.#hearers.set(channel, hearers)
    this.#running ??= this.#run()
    await this.#listening(channel)
    return async () => {
      hearers.delete(hearer)
      if (hearers.size > 0 || this.#hearers.get(channel) !== hearers) return
      this.#hearers.delete(channel)
      if (!this.#client) return
      const unlisten = `UNLISTEN ${pg.escapeIdentifier(channel)}`
      await this.#query(this.#client, unlisten).catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#hearers.clear()
    await this.#running
    this.#wakeWaiting()
  }

  /** Resolves when the current connection, or the next one, listens on the channel. */
  async #listening(channel: string): Promise<void> {
    const client = this.#client
    if (client) {
      const isDone = await this.#listenOn(client, channel).then(
        () => true,
        () => false,
      )
      if (isDone) return
      await client.end().catch(() => undefined)
    }
    if (this.#closing.signal.aborted) return
    // A new connection listens on every channel before it counts as connected.
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    let backoffMs = backoffMsMin
    let isFirst = true
    while (!signal.aborted) {
      const wasConnected = await this.#connection(isFirst)
      if (wasConnected) isFirst = false
      backoffMs = wasConnected ? backoffMsMin : Math.min(backoffMs * 2, backoffMsMax)
      await sleep(backoffMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** One connection from its beginning to its end; false when there never was one. */
  async #connection(isFirst: boolean): Promise<boolean> {
    const socket = new Socket()
    const client = new pg.Client({ ...this.#config, stream: () => socket })
    const ended = new AbortController()
    this.#previous = Promise.resolve()
    client.on('error', () => ended.abort())
    client.on('end', () => ended.abort())
    client.on('notification', ({ channel, payload }) => this.#heard(channel, payload ?? ''))
    const { signal } = this.#closing
    const giveUp = (): void => {
      // pg leaves `connect` pending for ever when it is ended before it is connected.
      if (!this.#client) socket.destroy()
    }
    signal.addEventListener('abort', giveUp)
    let wasConnected = false
    try {
      await client.connect()
      // The loop also meets the channels that are added while it waits.
      for (const channel of this.#hearers.keys()) await this.#listenOn(client, channel)
      this.#client = client
      wasConnected = true
      this.#wakeWaiting()
      if (!isFirst) this.#missed()
      await this.#untilEnded(client, ended.signal)
    } catch {
      // Whatever it was, the connection is given up and the next one is tried.
    }
    this.#client = null
    signal.removeEventListener('abort', giveUp)
    await client.end().catch(() => undefined)
    return wasConnected
  }

  async #untilEnded(client: pg.Client, ended: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([ended, this.#closing.signal])
    const rest = async (): Promise<boolean> => {
      await sleep(heartbeatMs, undefined, { signal }).catch(() => undefined)
      return !signal.aborted
    }
    while (await rest()) await this.#query(client, 'SELECT 1')
  }

  #listenOn(client: pg.Client, channel: string): Promise<void> {
    return this.#query(client, `LISTEN ${pg.escapeIdentifier(channel)}`)
  }

  /** One statement after the other: a client takes no second one while the first is running. */
  #query(client: pg.Client, text: string): Promise<void> {
    const query = this.#previous.then(() => client.query(text)).then(() => undefined)
    this.#previous = query.catch(() => undefined)
    return query
  }

  #heard(channel: string, payload: string): void {
    for (const hearer of [...(this.#hearers.get(channel) ?? [])]) hearer.heard(payload)
  }

  #missed(): void {
    for (const hearers of [...this.#hearers.values()]) {
      for (const hearer of [...hearers]) hearer.missed()
    }
  }

  #wakeWaiting(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
