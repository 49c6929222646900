import { io, type Socket } from 'socket.io-client'
import type { JobEventView, JobView } from '../../domain/job/job-view.ts'

const answerLimitMs = 20_000

/** An `update` of a job's or an org's channel. */
export type Update = JobEventView & { readonly channel: string }

export interface BalanceUpdate {
  readonly channel: string
  readonly balance: { readonly posted: string; readonly held: string; readonly available: string }
}

export interface Progress {
  readonly channel: string
  readonly progress: number
}

export interface Ack {
  readonly ok: boolean
  readonly code?: string
  readonly recovered?: boolean
  readonly job?: JobView
  readonly events?: readonly JobEventView[]
}

/** One connection and everything that it was told, in order. */
export interface LiveSocket {
  readonly updates: Update[]
  readonly balances: BalanceUpdate[]
  readonly progress: Progress[]
  readonly raw: Socket
  /** Resolves with the reason when the server has ended the connection. */
  readonly closed: Promise<string>
  subscribe(channel: unknown, after?: number): Promise<Ack>
  unsubscribe(channel: string): Promise<Ack>
  close(): void
}

/** @throws the `connect_error` of a refused connection, with its code in `data.code` */
export async function connect(baseUrl: string, token: unknown): Promise<LiveSocket> {
  const raw = io(baseUrl, {
    path: '/v1/socket',
    transports: ['websocket'],
    auth: { token },
    reconnection: false,
    forceNew: true,
    timeout: answerLimitMs,
  })
  const updates: Update[] = []
  const balances: BalanceUpdate[] = []
  const progress: Progress[] = []
  raw.on('update', (update: Update | BalanceUpdate) => {
    if ('balance' in update) balances.push(update)
    else updates.push(update)
  })
  raw.on('progress', (told: Progress) => progress.push(told))
  const closed = new Promise<string>((resolve) => raw.once('disconnect', resolve))
  await new Promise<void>((resolve, reject) => {
    raw.once('connect', resolve)
    raw.once('connect_error', (error) => {
      raw.close()
      reject(error)
    })
  })
  const ask = async (event: string, request: object): Promise<Ack> =>
    (await raw.timeout(answerLimitMs).emitWithAck(event, request)) as Ack
  return {
    ...{ updates, balances, progress, raw, closed },
    subscribe: async (channel, after) =>
      await ask('subscribe', { channel, ...(after === undefined ? {} : { after }) }),
    unsubscribe: async (channel) => await ask('unsubscribe', { channel }),
    close: () => raw.close(),
  }
}

/** The code with which a connection is refused; null when it was not. */
export async function refusalOf(baseUrl: string, token: unknown): Promise<string | null> {
  try {
    const live = await connect(baseUrl, token)
    live.close()
    return null
  } catch (error) {
    return (error as { data?: { code?: string } }).data?.code ?? String(error)
  }
}
