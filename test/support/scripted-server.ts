import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** What the server does with one request. */
export type Reply = (response: ServerResponse, asked: Asked) => void

export interface ScriptedServer {
  readonly url: string
  /** What it was asked, in order. */
  readonly asked: Asked[]
  close(): Promise<void>
}

/** A real HTTP server that plays one reply after the other, and the last one for ever. */
export async function playReplies(...replies: readonly Reply[]): Promise<ScriptedServer> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const one = { method, path: url, headers, body: Buffer.concat(chunks).toString('utf8') }
      asked.push(one)
      replies[Math.min(asked.length, replies.length) - 1]?.(response, one)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Answers with JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(body))
  }
}

/** Answers with a problem document. */
export function problem(status: number, code: string, headers: Record<string, string> = {}): Reply {
  const body = { type: `urn:weir:error:${code}`, title: code, status, detail: `It is ${code}.` }
  return json(status, { ...body, code, requestId: 'r-1' }, headers)
}

/** Takes the request, and ends the connection in the middle of its answer. */
export const lost: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
  response.write('{"half":')
  response.destroy()
}

/** Takes the request, and never answers. */
export const silent: Reply = () => undefined
