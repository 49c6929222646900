import { createServer } from 'node:net'

const attemptsMax = 50

/** A free port on loopback such that the next `count - 1` are free too. */
export async function freePort(count = 1): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const port = await listenOnce(0)
    if (port === null || port + count > 65_535) continue
    const rest = Array.from({ length: count - 1 }, (_, index) => port + 1 + index)
    const taken = await Promise.all(rest.map(async (next) => (await listenOnce(next)) === null))
    if (!taken.includes(true)) return port
  }
  throw new Error(`no ${String(count)} free ports in a row`)
}

/** Binds and lets go again; null when the port is taken. */
function listenOnce(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => {
      resolve(null)
    })
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        resolve(typeof address === 'object' && address ? address.port : null)
      })
    })
  })
}
