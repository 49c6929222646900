import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const trickleMs = 250

/** A connection that says what a test wants, and remembers what it was told. */
export interface RawConnection {
  readonly socket: Socket
  /** All that came back so far. */
  readonly text: string
  /** Resolves when the connection has ended, with the ms since it was opened. */
  readonly closed: Promise<number>
}

export async function openRaw(baseUrl: string): Promise<RawConnection> {
  const { hostname, port } = new URL(baseUrl)
  const socket = connect(Number(port), hostname)
  const openedAt = performance.now()
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  // A connection that is cut off is what these tests are about.
  socket.on('error', () => undefined)
  const closed = new Promise<number>((resolve) => {
    socket.once('close', () => resolve(performance.now() - openedAt))
  })
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve)
    socket.once('close', () => resolve())
  })
  return {
    socket,
    closed,
    get text() {
      return Buffer.concat(chunks).toString('latin1')
    },
  }
}

/** Sends the bytes and waits until the server has closed the connection; gives what it said. */
export async function exchange(baseUrl: string, bytes: string | Buffer): Promise<string> {
  const connection = await openRaw(baseUrl)
  connection.socket.write(bytes)
  await connection.closed
  return connection.text
}

/** Says the same four times a second until the connection is closed; gives when that was, ms. */
export async function trickle({ socket, closed }: RawConnection, bytes: string): Promise<number> {
  const ended = new AbortController()
  void closed.then(() => ended.abort())
  while (!ended.signal.aborted) {
    socket.write(bytes)
    await sleep(trickleMs, undefined, { signal: ended.signal }).catch(() => undefined)
  }
  return await closed
}
