import type { Socket } from 'socket.io-client'
import type { Job, JobEvent, Progress } from './contract.ts'
import { unreachable, WeirError } from './error.ts'
import { tokenOf } from './request.ts'
import type { Access } from './request.ts'

const answerMs = 5_000
const reconnectMsMin = 200
const reconnectMsMax = 2_000

/** What weir says to `subscribe`. */
export type Subscribed = {
  readonly recovered: boolean
  readonly job: Job
  readonly events: readonly JobEvent[]
}

/** What comes over a line, in this order. */
export type LineMessage =
  | { readonly kind: 'connected' }
  | { readonly kind: 'subscribed'; readonly answer: Subscribed }
  | { readonly kind: 'update'; readonly event: JobEvent }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'lost'; readonly error: WeirError }
  | { readonly kind: 'refused'; readonly error: unknown }

/** A connection for one channel, which mends itself. After each `connected`, subscribe anew. */
export type Line = {
  /** Does nothing while the connection is lost, or the last question is not answered. */
  readonly subscribe: (after: number) => void
  readonly close: () => void
}

type Refused = { readonly ok: false; readonly code: string }

type FromServer = {
  update: (event: JobEvent) => void
  progress: (progress: Progress) => void
}
type ToServer = {
  subscribe: (
    request: { readonly channel: string; readonly after: number },
    answer: (answer: ({ readonly ok: true } & Subscribed) | Refused) => void,
  ) => void
}

type WeirSocket = Socket<FromServer, ToServer>

/** Opens a Socket.IO connection. Its client is loaded when it is needed first. */
export async function openLine(
  access: Access,
  channel: string,
  tell: (message: LineMessage) => void,
): Promise<Line> {
  const { io } = await import('socket.io-client')
  const { origin, pathname } = access.baseUrl
  const socket: WeirSocket = io(origin, {
    path: `${pathname}v1/socket`,
    transports: ['websocket', 'polling'],
    tryAllTransports: true,
    forceNew: true,
    autoConnect: false,
    reconnectionDelay: reconnectMsMin,
    reconnectionDelayMax: reconnectMsMax,
  })
  const { failed, stop } = mend(socket, access, tell)
  socket.on('update', (event) => tell({ kind: 'update', event }))
  socket.on('progress', (progress) => tell({ kind: 'progress', progress }))
  socket.connect()
  let isAsking = false
  return {
    subscribe: (after) => {
      if (!socket.connected || isAsking) return
      isAsking = true
      socket.timeout(answerMs).emit('subscribe', { channel, after }, (unanswered, answer) => {
        isAsking = false
        if (unanswered instanceof Error) {
          // A connection that does not answer is none.
          if (socket.connected) socket.disconnect().connect()
        } else if (answer.ok) tell({ kind: 'subscribed', answer })
        else failed(refusalOf(answer.code, `weir refused ${channel}: ${answer.code}`))
      })
    },
    close: () => {
      stop()
      socket.disconnect()
    },
  }
}

/** Tells how the connection is, and takes it up again where Socket.IO leaves that to us. */
function mend(socket: WeirSocket, access: Access, tell: (message: LineMessage) => void) {
  const closing = new AbortController()
  let isRenewed = false
  const lost = (why: string): void => {
    const { origin } = access.baseUrl
    tell({ kind: 'lost', error: unreachable(`The connection to ${origin} is lost: ${why}`) })
  }
  const connectLater = async (): Promise<void> => {
    await access.sleep(reconnectMsMin + access.random() * reconnectMsMax, closing.signal)
    if (!closing.signal.aborted) socket.connect()
  }
  const failed = (error: WeirError): void => {
    if (!error.isTransient) return tell({ kind: 'refused', error })
    lost(error.message)
    socket.disconnect()
    void connectLater()
  }
  socket.auth = (give) => {
    tokenOf(access, isRenewed).then((token) => give({ token }), failed)
  }
  socket.on('connect', () => {
    isRenewed = false
    tell({ kind: 'connected' })
  })
  socket.on('connect_error', (error) => {
    const code = codeOf(error)
    // Without an answer of weir Socket.IO tries again by itself.
    if (code === null) return lost(error.message)
    if (code !== 'unauthenticated' || !access.canRenew || isRenewed) {
      return failed(refusalOf(code, error.message))
    }
    isRenewed = true
    failed(unreachable(error.message))
  })
  socket.on('disconnect', (reason) => {
    if (closing.signal.aborted) return
    lost(reason)
    // Ended by weir, as when a client token is over.
    if (reason === 'io server disconnect') void connectLater()
  })
  return { failed, stop: () => closing.abort() }
}

/** The code with which weir refused a connection; null when it was not weir. */
function codeOf(error: Error): string | null {
  const data: unknown = 'data' in error ? error.data : null
  if (typeof data !== 'object' || data === null || !('code' in data)) return null
  return typeof data.code === 'string' ? data.code : null
}

const statuses: Readonly<Record<string, number>> = {
  unauthenticated: 401,
  forbidden: 403,
  account_banned: 403,
  not_found: 404,
  invalid_request: 400,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
}

function refusalOf(code: string, message: string): WeirError {
  return new WeirError({ status: statuses[code] ?? 400, code, message })
}
