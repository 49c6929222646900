import { createServer } from 'node:http'
import type { Series } from './registry.ts'

// Prometheus and checks of health come here; whoever else does may not hold up the process.

/** Connections at the same time; one more is closed at once. */
const connectionsMax = 50
/** From its first moment to its last header, and to its last byte, ms. */
const headersMs = 3_000
const requestMs = 5_000
const lookEveryMs = 500
const headerBytesMax = 8_192

const methods = ['GET', 'HEAD']

const limits = {
  ...{ headersTimeout: headersMs, requestTimeout: requestMs, maxHeaderSize: headerBytesMax },
  connectionsCheckingInterval: lookEveryMs,
}

/** Serves `/metrics` and `/healthz` of one process. */
export async function serveMetrics(
  series: Series,
  { port, host }: { readonly port: number; readonly host: string },
): Promise<() => Promise<void>> {
  const server = createServer(limits, (request, response) => {
    const { 'content-length': length = '0', 'transfer-encoding': chunks } = request.headers
    const hasBody = length !== '0' || chunks !== undefined
    if (hasBody || !methods.includes(request.method ?? '')) {
      // Nobody reads a body; its connection is of no further use.
      response.writeHead(405, { allow: methods.join(', '), connection: 'close' }).end()
      return
    }
    const path = request.url?.split('?')[0]
    if (path === '/healthz') response.writeHead(200).end('ok\n')
    else if (path !== '/metrics') response.writeHead(404).end()
    else {
      series.text().then(
        (text) =>
          response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
        () => response.writeHead(500).end(),
      )
    }
  })
  server.maxConnections = connectionsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
}
