import { afterEach, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { connect, createServer as createRawServer, Socket, type Server } from 'node:net'
import { gzipSync } from 'node:zlib'
import { GuardedClient, type GuardedRequest } from '../../../infra/http/guarded-client.ts'
import { connectDirect } from '../../../infra/http/guarded-socket.ts'
import type { Resolve } from '../../../infra/http/resolve.ts'
import { testCertificate, testCertificateKey } from '../../support/test-certificate.ts'
import { waitFor } from '../../support/wait-for.ts'

const open: Server[] = []
const openSockets = new Set<Socket>()

afterEach(async () => {
  const closing = open.splice(0).map((server) => {
    const closed = once(server, 'close')
    server.close()
    return closed
  })
  for (const socket of openSockets) socket.destroy()
  await Promise.all(closing)
})

/** Listens on 127.0.0.1; `connections` counts who came, whatever they did. */
async function listen(server: Server) {
  const seen = { connections: 0 }
  server.on('connection', (socket: Socket) => {
    seen.connections += 1
    openSockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => openSockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(server)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { seen, port: address.port, url: `http://127.0.0.1:${address.port}` }
}

const receiver = (listener: RequestListener) => listen(createServer(listener))

const secureReceiver = () =>
  listen(
    createSecureServer({ key: testCertificateKey, cert: testCertificate }, (request, response) => {
      response.end(`secure ${request.headers.host}`)
    }),
  )

/** Speaks whatever bytes it is told to. */
const rawReceiver = (speak: (socket: Socket) => void) => listen(createRawServer(speak))

const developer = new GuardedClient({ allowPrivate: true })

/** A client that asks the given answers, in turn, and remembers whom it asked and called. */
function laboratory(answers: readonly (readonly string[])[], allowPrivate: boolean) {
  const asked: string[] = []
  const called: string[] = []
  const resolve: Resolve = (hostName) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? []
    asked.push(hostName)
    return Promise.resolve(answer)
  }
  const options = { allowPrivate, resolve, certificateAuthority: testCertificate }
  const client = new GuardedClient({
    ...options,
    connect: (address, port) => {
      called.push(address)
      return connectDirect(address, port)
    },
  })
  return { asked, called, client, options }
}

const get = (url: string): GuardedRequest => ({ method: 'GET', url })

test('posts a body and gives the answer back whole', async () => {
  const seen: unknown[] = []
  const { url } = await receiver((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      seen.push(request.method, request.url, request.headers, body)
      response.writeHead(202, { 'x-answer': 'yes' }).end('thanks ✓')
    })
  })
  const headers = { 'content-type': 'application/json', 'x-mine': '1' }
  const body = '{"grüße":1}'
  const answer = await developer.request({ method: 'POST', url: `${url}/a/b?c=d#e`, headers, body })
  expect(answer.status).toBe(202)
  expect(answer.headers['x-answer']).toBe('yes')
  expect(answer.body.toString()).toBe('thanks ✓')
  expect(seen).toEqual([
    'POST',
    '/a/b?c=d',
    {
      ...headers,
      host: url.slice('http://'.length),
      connection: 'close',
      'accept-encoding': 'identity',
      'content-length': String(Buffer.byteLength(body)),
    },
    body,
  ])
})

test('resolves a name once and calls exactly the address that was checked', async () => {
  const { url, port } = await receiver((request, response) => response.end(request.headers.host))
  const { client, asked, called } = laboratory([['127.0.0.1'], ['169.254.169.254']], true)
  const answer = await client.request(get(url.replace('127.0.0.1', 'hooks.example.com')))
  expect(answer.body.toString()).toBe(`hooks.example.com:${port}`)
  expect(asked).toEqual(['hooks.example.com'])
  expect(called).toEqual(['127.0.0.1'])
})

test('an answer that changes after the check changes nothing (rebinding)', async () => {
  const received: Buffer[] = []
  const { port, seen } = await rawReceiver((socket) => {
    socket.on('data', (chunk) => received.push(chunk))
  })
  const { options, asked } = laboratory([['93.184.216.34'], ['127.0.0.1']], false)
  const called: string[] = []
  const client = new GuardedClient({
    ...options,
    // The network leads the checked address to the machine itself: the peer gives it away.
    connect: (address) => {
      called.push(address)
      return connect({ host: '127.0.0.1', port })
    },
  })
  await expect(client.request(get(`https://hooks.example.com:${port}/`))).rejects.toMatchObject({
    code: 'forbidden_address',
    message: 'The connection to 93.184.216.34 ended at 127.0.0.1.',
  })
  expect(asked).toHaveLength(1)
  expect(called).toEqual(['93.184.216.34'])
  await waitFor('the connection to end', () => seen.connections === 1 && openSockets.size === 0)
  expect(received).toEqual([])
})

test.each([
  [['127.0.0.1']],
  [['93.184.216.34', '127.0.0.1']],
  [['93.184.216.34', '10.0.0.7', '8.8.8.8']],
  [['2606:4700:4700::1111', '::1']],
  [['93.184.216.34', '::ffff:93.184.216.34']],
  [['64:ff9b::5db8:d822']],
  [['2002:7f00:1::1', '8.8.8.8']],
  [['0.0.0.0']],
  [['169.254.169.254']],
  [['fd00:ec2::254']],
  [['8.8.8.8', 'nonsense']],
])('a name that resolves to %j is not called at all', async (answer) => {
  const { client, called } = laboratory([answer], false)
  await expect(client.request(get('https://hooks.example.com/'))).rejects.toMatchObject({
    name: 'GuardedRequestError',
    code: 'forbidden_address',
  })
  expect(called).toEqual([])
})

test.each(['169.254.169.254', 'fd00:ec2::254', '0.0.0.0', '::', '::ffff:127.0.0.1'])(
  'not even a developer can call a name that resolves to %s',
  async (address) => {
    const { client, called } = laboratory([[address]], true)
    await expect(client.request(get('http://hooks.example.com/'))).rejects.toMatchObject({
      code: 'forbidden_address',
    })
    expect(called).toEqual([])
  },
)

test.each([
  ...['https://127.0.0.1/', 'https://[::1]/', 'https://2130706433/', 'http://example.com/'],
  ...['https://[::ffff:7f00:1]/', 'https://localhost/', 'https://u:p@example.com/', 'nonsense'],
])('%s is refused without asking anybody', async (url) => {
  const { client, asked, called } = laboratory([['93.184.216.34']], false)
  await expect(client.request(get(url))).rejects.toMatchObject({ code: 'forbidden_address' })
  expect([...asked, ...called]).toEqual([])
})

test('a redirect is an answer and is not followed', async () => {
  const inner = await receiver((_request, response) => response.end('secret'))
  const outer = await receiver((_request, response) => {
    response.writeHead(307, { location: inner.url }).end()
  })
  const answer = await developer.request(get(outer.url))
  expect(answer.status).toBe(307)
  expect(answer.headers['location']).toBe(inner.url)
  expect(inner.seen.connections).toBe(0)
})

test('the caller cannot replace the headers that say where the request goes', async () => {
  const { url } = await receiver((request, response) => response.end(request.headers.host))
  const answer = await developer.request({ ...get(url), headers: { host: 'other.example.com' } })
  expect(answer.body.toString()).toBe(url.slice('http://'.length))
})

test('a compressed answer stays as it is', async () => {
  const packed = gzipSync('x'.repeat(1_000_000))
  const { url } = await receiver((_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed)
  })
  expect((await developer.request(get(url))).body.equals(packed)).toBe(true)
})

test('an answer of exactly the limit is read, one byte more is not', async () => {
  const { url } = await receiver((request, response) => {
    const bytes = Number(request.url?.slice(1))
    // Chunked, without a length.
    response.write(Buffer.alloc(bytes - 1))
    response.end('x')
  })
  expect((await developer.request(get(`${url}/65536`))).body).toHaveLength(65_536)
  await expect(developer.request(get(`${url}/65537`))).rejects.toMatchObject({
    code: 'too_large',
    status: 200,
  })
})

test('an answer that announces too much is cut before it is read', async () => {
  const { url } = await receiver((_request, response) => {
    response.writeHead(200, { 'content-length': '65537' }).write('x')
  })
  await expect(developer.request(get(url))).rejects.toMatchObject({ code: 'too_large' })
})

test('an endless answer is cut', async () => {
  let cut = false
  const { url } = await receiver((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384)));
    }
    response.on('drain', more).on('close', () => (cut = true))
    more()
  })
  await expect(developer.request(get(url))).rejects.toMatchObject({ code: 'too_large' })
  await waitFor('the connection to end', () => cut && openSockets.size === 0)
})

test.each([
  ['says nothing', () => undefined],
  ['sends one header after the other', (socket: Socket) => trickle(socket, 'x-more: 1\r\n')],
  [
    'sends one byte of the body after the other',
    (socket: Socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      trickle(socket, '.')
    },
  ],
  [
    'only says that it goes on',
    (socket: Socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n')
    },
  ],
])('a peer that %s meets the deadline', async (_what, speak: (socket: Socket) => void) => {
  const { url } = await rawReceiver((socket) => {
    socket.on('error', () => undefined)
    speak(socket)
  })
  await expect(developer.request({ ...get(url), deadlineMs: 150 })).rejects.toMatchObject({
    code: 'deadline_exceeded',
  })
})

function trickle(socket: Socket, text: string) {
  if (text.startsWith('x-')) socket.write('HTTP/1.1 200 OK\r\n')
  const timer = setInterval(() => socket.write(text), 10)
  socket.on('close', () => {
    clearInterval(timer)
  })
}

test('a resolver, a connection and a TLS handshake without an end meet the deadline', async () => {
  const silent = await rawReceiver(() => undefined)
  const name = `https://hooks.example.com:${silent.port}/`
  const { options } = laboratory([['127.0.0.1']], true)
  const never = new Promise<never>(() => undefined)
  const stuck = [
    new GuardedClient({ ...options, resolve: () => never }),
    new GuardedClient({ ...options, connect: () => new Socket() }),
    new GuardedClient(options),
  ]
  const codes = await Promise.all(
    stuck.map((client) => client.request({ ...get(name), deadlineMs: 100 }).catch(codeOf)),
  )
  expect(codes).toEqual(['deadline_exceeded', 'deadline_exceeded', 'deadline_exceeded'])
})

const codeOf = (error: { code?: string }) => error.code

test('the caller can give up, and gets its own reason', async () => {
  const giveUp = new AbortController()
  const { url } = await rawReceiver(() => {
    giveUp.abort(new Error('shutting down'))
  })
  const { signal } = giveUp
  await expect(developer.request({ ...get(url), signal })).rejects.toThrow('shutting down')
  await expect(developer.request({ ...get(url), signal })).rejects.toThrow('shutting down')
})

test.each([
  ['speaks something else', '220 mail.example.com ESMTP\r\n'],
  ['ends in the middle of the body', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'],
  ['ends in the middle of the headers', 'HTTP/1.1 200 OK\r\ncont'],
  ['switches protocols', 'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
  ['sends too many headers', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`],
  ['has two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx'],
  ['goes away', ''],
])('a peer that %s breaks the protocol', async (_what, bytes) => {
  const { url } = await rawReceiver((socket) => {
    socket.once('data', () => socket.end(bytes))
  })
  await expect(developer.request(get(url))).rejects.toMatchObject({ code: 'protocol_error' })
})

test('tries the next address of a name when the first does not answer', async () => {
  const { url } = await receiver((_request, response) => response.end('here'))
  const { client, called } = laboratory([['127.0.0.2', '127.0.0.1']], true)
  const answer = await client.request(get(url.replace('127.0.0.1', 'hooks.example.com')))
  expect(answer.body.toString()).toBe('here')
  expect(called).toEqual(['127.0.0.2', '127.0.0.1'])
})

test('tells apart why nobody answered', async () => {
  const { url } = await receiver(() => undefined)
  const nowhere = url.replace('127.0.0.1', '127.0.0.2')
  await expect(developer.request(get(nowhere))).rejects.toMatchObject({ code: 'connect_failed' })
  const { client } = laboratory([[]], true)
  const unknown = client.request(get('https://hooks.example.com'))
  await expect(unknown).rejects.toMatchObject({ code: 'dns_failed' })
  const broken = new GuardedClient({
    allowPrivate: true,
    resolve: () => Promise.reject(new Error('SERVFAIL')),
  })
  await expect(broken.request(get('https://hooks.example.com'))).rejects.toMatchObject({
    code: 'dns_failed',
    message: 'hooks.example.com: SERVFAIL',
  })
})

test('speaks TLS with the name of the URL, or with the address when that is its host', async () => {
  const { port } = await secureReceiver()
  const { client } = laboratory([['127.0.0.1']], true)
  for (const host of [`hooks.example.com:${port}`, `127.0.0.1:${port}`]) {
    const answer = await client.request(get(`https://${host}/`))
    expect(answer.body.toString()).toBe(`secure ${host}`)
  }
})

test('refuses a certificate of another name, one of nobody known, and no TLS at all', async () => {
  const secure = await secureReceiver()
  const plain = await receiver((_request, response) => response.end())
  const { client, options } = laboratory([['127.0.0.1']], true)
  const trusting = [
    client.request(get(`https://other.example.com:${secure.port}/`)),
    client.request(get(`https://hooks.example.com:${plain.port}/`)),
    new GuardedClient({ allowPrivate: true, resolve: options.resolve }).request(
      get(`https://hooks.example.com:${secure.port}/`),
    ),
  ]
  const codes = await Promise.all(trusting.map((request) => request.catch(codeOf)))
  expect(codes).toEqual(['tls_failed', 'tls_failed', 'tls_failed'])
})

test('downloads a file up to a size, and says which other answer came', async () => {
  const { url } = await receiver((request, response) => {
    const status = request.url === '/gone' ? 404 : 200
    response.writeHead(status, { 'content-type': 'image/png' }).end(Buffer.alloc(100_000))
  })
  const file = await developer.download({ url, bytesMax: 100_000 })
  expect(file.contentType).toBe('image/png')
  expect(file.body).toHaveLength(100_000)
  await expect(developer.download({ url, bytesMax: 99_999 })).rejects.toMatchObject({
    code: 'too_large',
  })
  await expect(developer.download({ url: `${url}/gone`, bytesMax: 200_000 })).rejects.toMatchObject(
    { code: 'protocol_error', status: 404 },
  )
})

test('leaves no connection behind', async () => {
  const { url } = await receiver((_request, response) => response.end('x'))
  await Promise.all(Array.from({ length: 20 }, () => developer.request(get(url))))
  await waitFor('the connections to end', () => openSockets.size === 0)
})
