import { connect, createServer, type Socket } from 'node:net'

/** A bad network before a server: connections pass through it until it cuts them. */
export interface FlakyProxy {
  readonly url: string
  /** Connections so far. */
  readonly connections: number
  /** Cuts all connections that are open; returns how many there were. */
  cut(): number
  /** Refuses new connections until it is called with false. */
  setDown(isDown: boolean): void
  /** The next answers are lost: cut when their first byte comes, after the server did its work. */
  loseAnswers(count: number): void
  /** Whatever the server says from now on comes that much later, ms. */
  delayAnswers(ms: number): void
  close(): Promise<void>
}

export async function startFlakyProxy(target: string): Promise<FlakyProxy> {
  const { port } = new URL(target)
  const open = new Set<Socket>()
  let connections = 0
  let isDown = false
  let answersToLose = 0
  let delayMs = 0
  const server = createServer((near) => {
    if (isDown) {
      near.destroy()
      return
    }
    connections += 1
    const far = connect(Number(port), '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from)
      // What the other side has closed is closed here; how it went does not matter.
      from.once('error', () => to.destroy())
      from.once('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
    near.pipe(far)
    far.on('data', (chunk: Buffer) => {
      if (answersToLose > 0) {
        answersToLose -= 1
        near.destroy()
      } else if (delayMs > 0) setTimeout(() => near.write(chunk), delayMs)
      else near.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const own = typeof address === 'object' && address ? address.port : 0
  const cut = (): number => {
    const count = open.size / 2
    for (const socket of open) socket.destroy()
    return count
  }
  return {
    url: `http://127.0.0.1:${own}`,
    get connections() {
      return connections
    },
    cut,
    setDown: (value) => {
      isDown = value
    },
    loseAnswers: (count) => {
      answersToLose = count
    },
    delayAnswers: (ms) => {
      delayMs = ms
    },
    close: async () => {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
