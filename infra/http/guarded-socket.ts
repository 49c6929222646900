import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { isSameAddress } from './forbidden-address.ts'
import { GuardedRequestError, messageOf } from './guarded-request-error.ts'

/** Opens a connection to a literal address. */
export type Connect = (address: string, port: number) => Socket

/** A literal is never resolved again: net.connect asks the DNS for names only. */
export const connectDirect: Connect = (address, port) =>
  connect({ host: address, port, noDelay: true })

// A name can have many addresses of which the first do not answer. All are checked, a few tried.
const addressesTriedMax = 4
const attemptMs = 3_000

type Destination = {
  /** Checked already, in the order of the resolver. */
  readonly addresses: readonly string[]
  readonly port: number
  readonly connect: Connect
  readonly signal: AbortSignal
}

/** Connects to the first address that answers, and to no other place. */
export async function openSocket(destination: Destination): Promise<Socket> {
  const { addresses, signal } = destination
  let failure: unknown = null
  const tried = addresses.slice(0, addressesTriedMax)
  for (const [index, address] of tried.entries()) {
    signal.throwIfAborted()
    const isLast = index === tried.length - 1
    try {
      return await connectOnce(destination, address, isLast ? null : attemptMs)
    } catch (error) {
      if (error instanceof GuardedRequestError) throw error
      failure = error
    }
  }
  signal.throwIfAborted()
  throw new GuardedRequestError('connect_failed', messageOf(failure))
}

async function connectOnce(
  { port, connect, signal }: Destination,
  address: string,
  limitMs: number | null,
): Promise<Socket> {
  const socket = connect(address, port)
  if (limitMs !== null) socket.setTimeout(limitMs)
  try {
    await settled(socket, 'connect', signal)
  } catch (error) {
    socket.destroy()
    throw error
  }
  socket.setTimeout(0)
  const peer = socket.remoteAddress ?? 'nowhere'
  if (isSameAddress(peer, address)) return socket
  socket.destroy()
  const message = `The connection to ${address} ended at ${peer}.`
  throw new GuardedRequestError('forbidden_address', message)
}

type TlsPeer = { readonly host: string; readonly authority: string | undefined }

/** Speaks TLS on a connected socket, for exactly that host; a wrong certificate is a failure. */
export async function secureSocket(
  socket: Socket,
  { host, authority }: TlsPeer,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const secured = connectTls({
    socket,
    host,
    // RFC 6066 forbids addresses as server names; the certificate is then checked against `host`.
    servername: isIP(host) === 0 ? host : '',
    ALPNProtocols: ['http/1.1'],
    // Said aloud so that NODE_TLS_REJECT_UNAUTHORIZED=0 does not reach this client.
    rejectUnauthorized: true,
    ...(authority === undefined ? {} : { ca: authority }),
  })
  try {
    await settled(secured, 'secureConnect', signal)
    return secured
  } catch (error) {
    secured.destroy()
    socket.destroy()
    signal.throwIfAborted()
    throw new GuardedRequestError('tls_failed', messageOf(error))
  }
}

/** Waits for the socket's event; rejects with its error, its timeout, or when the signal aborts. */
function settled(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
): Promise<void> {
  // Stays for good: an error between two steps must not end the process. The next step sees the
  // destroyed socket.
  socket.on('error', () => undefined)
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(new Error('aborted'))
    }
    const end = () => {
      signal.removeEventListener('abort', onAbort)
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once(event, () => {
      end()
      resolve()
    })
    socket.once('error', (error) => {
      end()
      reject(error)
    })
    socket.once('timeout', () => {
      end()
      reject(new Error('The connection attempt took too long.'))
    })
    socket.once('close', () => {
      end()
      reject(new Error('The connection was closed.'))
    })
  })
}
