import { WebSocket } from 'undici'

const openLimitMs = 10_000

/** A connection that speaks Engine.IO by hand, so that it can also speak it wrongly. */
export interface EngineSocket {
  readonly received: string[]
  /** Resolves when the server, or the test, has closed it. */
  readonly closed: Promise<void>
  send(data: string | Uint8Array): void
  close(): void
}

/** Opens it, and waits for the server's hello. */
export async function openEngine(baseUrl: string): Promise<EngineSocket> {
  const url = `${baseUrl.replace(/^http/, 'ws')}/v1/socket/?EIO=4&transport=websocket`
  const raw = new WebSocket(url)
  raw.binaryType = 'arraybuffer'
  const received: string[] = []
  const closed = new Promise<void>((resolve) => raw.addEventListener('close', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('no hello came')), openLimitMs)
    raw.addEventListener('message', ({ data }) => {
      received.push(String(data))
      // A ping: whoever does not answer is taken for gone.
      if (data === '2') raw.send('3')
      clearTimeout(late)
      resolve()
    })
    raw.addEventListener('error', () => undefined)
    void closed.then(() => {
      clearTimeout(late)
      resolve()
    })
  })
  return {
    received,
    closed,
    send: (data) => raw.send(data),
    close: () => raw.close(),
  }
}

/** Opens it and says who it is. Resolves when the server has taken or refused it. */
export async function openSession(baseUrl: string, token: string): Promise<EngineSocket> {
  const socket = await openEngine(baseUrl)
  socket.send(`40${JSON.stringify({ token })}`)
  return socket
}

/** A session over long polling: it is told only what it asks for. */
export interface PollingSession {
  send(packets: readonly string[]): Promise<void>
  /** Waits until there is something, and takes all of it. */
  poll(): Promise<readonly string[]>
}

/** Opens one and says who it is; returns when the server has taken it. */
export async function openPolling(baseUrl: string, token: string): Promise<PollingSession> {
  const url = `${baseUrl}/v1/socket/?EIO=4&transport=polling`
  const hello = await (await fetch(url)).text()
  const { sid } = JSON.parse(hello.slice(1)) as { sid: string }
  const session: PollingSession = {
    send: async (packets) => {
      await fetch(`${url}&sid=${sid}`, { method: 'POST', body: packets.join('\u001e') })
    },
    poll: async () => (await (await fetch(`${url}&sid=${sid}`)).text()).split('\u001e'),
  }
  await session.send([`40${JSON.stringify({ token })}`])
  await session.poll()
  return session
}
