import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** What asks for another protocol, and names what goes with it. */
const askingHeaders = ['upgrade', 'http2-settings']

/**
 * Answers requests that offer another protocol as if they had not: RFC 9110 lets a server ignore
 * an `Upgrade`, and Java's HttpClient and `curl --http2` send one with an ordinary request. Node
 * takes it for granted that whoever listens for some upgrades wants all of them.
 *
 * @param path below it, upgrades are somebody else's
 */
export function ignoreUpgrades(server: Server, path: string): void {
  const answers = new WeakMap<Duplex, ServerResponse>()
  server.on('request', ({ socket }, answer) => answers.set(socket, answer))
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.startsWith(path)) return
    socket.on('error', () => socket.destroy())
    // Nobody would put the answers in their order.
    if (answers.get(socket)?.writableFinished === false) return void socket.destroy()
    // Read once more from its beginning, and then as any other connection.
    socket.unshift(Buffer.concat([withoutUpgrade(request), head]))
    server.emit('connection', socket)
  })
}

/** Answers requests that expect what weir does not know as if they had not: RFC 9110 §10.1.1. */
export function ignoreExpectations(server: Server): void {
  server.on('checkExpectation', (request, answer) => server.emit('request', request, answer))
}

function withoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2)
    const kept = name.toLowerCase() === 'connection' ? otherOptions(value) : value
    if (!askingHeaders.includes(name.toLowerCase()) && kept !== null) lines.push(`${name}: ${kept}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

/** What a `Connection` header says beside the upgrade; null when that is nothing. */
function otherOptions(value: string): string | null {
  const options = value.split(',').map((option) => option.trim())
  const others = options.filter((option) => !askingHeaders.includes(option.toLowerCase()))
  return others.length > 0 ? others.join(', ') : null
}
