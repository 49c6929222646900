import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

// Below the range from which systems take the local ports of connections, so that a port that is
// free now is not gone by the time somebody listens on it.
const first = 12_000
const last = 32_000
const triesMax = 100

/** The first of `count` ports in a row that nobody on this machine listens on. */
export async function freePorts(count = 1): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const start = randomInt(first, last - count)
    const ports = Array.from({ length: count }, (_, offset) => start + offset)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return start
  }
  throw new Error(`Found no ${count} free ports in a row in ${triesMax} tries.`)
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
