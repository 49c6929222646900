import { createServer } from 'node:http'
import type { Series } from './registry.ts'

/** Serves `/metrics` and `/healthz` of one process. */
export async function serveMetrics(
  series: Series,
  { port, host }: { readonly port: number; readonly host: string },
): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
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
