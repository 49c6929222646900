import { expect, test } from '@jest/globals'
import { apiMemory, longestWaitDuring } from '../support/api-load.ts'
import { expectNoFault, expectProblem, expectStatus, sandbox } from '../support/client.ts'
import { exchange, openRaw } from '../support/raw-http.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

// What is not quite HTTP, or far too much of it.

const used = useWeir({ isOwn: true })
const limitMs = 120_000
const pipelined = 300
const largeBodies = 40
const largeBytes = 9_000_000
/** Four of the largest bodies at once, parsed, beside what the api needs anyway. */
const grownBytesMax = 500_000_000
const waitMsMax = 10_000

test('many requests in one piece are answered, all and in their order', async () => {
  const { api } = await used.newOrg()
  const get = (number: number, more = ''): string =>
    `GET /v1/balance HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${api.token}\r\n` +
    `x-request-id: number-${number}\r\n${more}\r\n`
  const first = Array.from({ length: pipelined }, (_, number) => get(number)).join('')
  const text = await exchange(used.weir.baseUrl, first + get(pipelined, 'connection: close\r\n'))
  const ids = [...text.matchAll(/x-request-id: number-(\d+)/g)].map(([, number]) => Number(number))
  expect(ids).toEqual(Array.from({ length: pipelined + 1 }, (_, number) => number))
  expect(text.match(/HTTP\/1\.1 200 OK\r\n/g)).toHaveLength(pipelined + 1)
})

const post = (headers: string, body: string): string =>
  `POST /v1/jobs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${headers}\r\n\r\n${body}`

const chunked = 'transfer-encoding: chunked'

const garbage: readonly (readonly [what: string, bytes: string | Buffer])[] = [
  ['a chunk whose size is no number', post(chunked, 'zz\r\n{}\r\n0\r\n\r\n')],
  ['a chunk of absurd size', post(chunked, 'ffffffffffffffffff\r\n{}\r\n')],
  ['a negative chunk', post(chunked, '-1\r\n{}\r\n0\r\n\r\n')],
  ['a chunk that is longer than it says', post(chunked, '1\r\n{}\r\n0\r\n\r\n')],
  ['a length and chunks', post(`content-length: 2\r\n${chunked}`, '2\r\n{}\r\n0\r\n\r\n')],
  ['two lengths', post('content-length: 2\r\ncontent-length: 3', '{} ')],
  ['a length that is no number', post('content-length: 2x', '{}')],
  ['an unknown transfer encoding', post('transfer-encoding: gzip', '{}')],
  ['a header without a name', 'GET / HTTP/1.1\r\nhost: a\r\n: x\r\n\r\n'],
  ['a header with a NUL', 'GET / HTTP/1.1\r\nhost: a\r\nx-a: \0\r\n\r\n'],
  ['a header line that is folded', 'GET / HTTP/1.1\r\nhost: a\r\nx-a: b\r\n c\r\n\r\n'],
  ['a request that names no host', 'GET / HTTP/1.1\r\nconnection: close\r\n\r\n'],
  ['an unknown method', 'BREW /pot HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['an unknown version', 'GET / HTTP/9.9\r\nhost: a\r\n\r\n'],
  ['what begins a TLS connection', Buffer.from('16030100c8010000c40303', 'hex')],
  ['what begins HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  [
    'bytes without a meaning',
    Buffer.from(Array.from({ length: 4_096 }, (_, at) => (at * 7) % 256)),
  ],
]

test.each(garbage)('%s is refused, and the connection closed', async (_what, bytes) => {
  const text = await exchange(used.weir.baseUrl, bytes)
  const statuses = text.match(/^HTTP\/1\.1 \d+/gm) ?? []
  // One answer: what follows the garbage is no second request.
  expect(statuses).toEqual([expect.stringMatching(/ 40[01]$/)])
  expect(text).toContain('content-type: application/problem+json')
  expect(text).toMatch(/"code":"(invalid_request|unauthenticated)"/)
  expectStatus(await used.nobody.get('/healthz'), 200)
})

const upgrade = (headers: string): string =>
  `connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n${headers}`

test('who offers another protocol is answered in this one, again and with a body', async () => {
  const { api } = await used.newOrg()
  const known = `host: a\r\nauthorization: Bearer ${api.token}`
  const body = JSON.stringify(sandbox())
  const type = `content-type: application/json\r\ncontent-length: ${body.length}`
  const answers = (told: string): readonly string[] => told.match(/HTTP\/1\.1 \d+/g) ?? []
  const connection = await openRaw(used.weir.baseUrl)
  connection.socket.write(`GET /v1/balance HTTP/1.1\r\n${upgrade(known)}\r\n\r\n`)
  await waitFor('the first answer', () => answers(connection.text).length === 1)
  const [half, rest] = [body.slice(0, 9), body.slice(9)]
  connection.socket.write(`POST /v1/jobs HTTP/1.1\r\n${upgrade(known)}\r\n${type}\r\n\r\n${half}`)
  connection.socket.write(rest)
  await waitFor('the second answer', () => answers(connection.text).length === 2)
  connection.socket.write(`GET / HTTP/1.1\r\n${known}\r\nconnection: Upgrade, close\r\n`)
  connection.socket.write('upgrade: nonsense\r\n\r\n')
  await connection.closed
  expect(answers(connection.text)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 202', 'HTTP/1.1 200'])
})

test('who expects what nobody knows is answered all the same', async () => {
  const { api } = await used.newOrg()
  const body = JSON.stringify(sandbox())
  const known = `authorization: Bearer ${api.token}\r\nexpect: 200-ok\r\nconnection: close\r\n`
  const length = `content-length: ${body.length}`
  expect(await exchange(used.weir.baseUrl, post(`${known}${length}`, body))).toMatch(
    /^HTTP\/1\.1 202 /,
  )
})

test('headers beyond 16 KB are refused with the limit', async () => {
  for (const header of [`x-a: ${'b'.repeat(20_000)}`, 'x-a: b\r\n'.repeat(5_000).trim()]) {
    const text = await exchange(used.weir.baseUrl, `GET / HTTP/1.1\r\nhost: a\r\n${header}\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 431 /)
    expect(text).toContain('"code":"too_large"')
    expect(text).toContain('at most 16384 bytes')
  }
})

test('an answer that nobody reads, and requests that are broken off, are no fault', async () => {
  const { api } = await used.newOrg()
  const get = `GET /v1/openapi.json HTTP/1.1\r\nhost: a\r\n\r\n`
  const readers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const reader = await openRaw(used.weir.baseUrl)
      reader.socket.pause()
      reader.socket.write(get.repeat(20))
      return reader
    }),
  )
  const broken = Array.from({ length: 50 }, async (_, at) => {
    const { socket } = await openRaw(used.weir.baseUrl)
    const body = JSON.stringify(sandbox())
    const headers = `authorization: Bearer ${api.token}\r\ncontent-length: ${body.length}`
    socket.write(post(headers, body).slice(0, 20 + at * 8))
    socket.destroy()
  })
  await Promise.all(broken)
  for (const { socket } of readers) socket.resetAndDestroy()
  await waitFor('weir to answer', async () => (await api.get('/v1/balance')).status === 200)
})

/** What is valid JSON of that size and no job: a long list of short texts. */
function largeBody(): string {
  const item = '"12345678",'
  const list = item.repeat(Math.floor(largeBytes / item.length)).slice(0, -1)
  return `{"type":"sandbox.run","input":{"steps":1,"stepMs":0,"surplus":[${list}]}}`
}

test(
  'many large bodies at once are refused beyond what fits into memory, and weir goes on',
  async () => {
    const { api } = await used.newOrg()
    const raw = Buffer.from(largeBody())
    const before = apiMemory(used.weir)
    let highest = 0
    const sent = Array.from({ length: largeBodies }, async () => {
      const answer = await api.call('POST', '/v1/jobs', { raw })
      highest = Math.max(highest, apiMemory(used.weir))
      return answer
    })
    const answers = Promise.all(sent)
    expect(await longestWaitDuring(api, answers)).toBeLessThan(waitMsMax)
    const refused = (await answers).filter(({ status }) => status === 503)
    expect(refused.length).toBeGreaterThan(0)
    for (const answer of await answers) {
      if (answer.status !== 503) expectNoFault(answer, 'a large body')
      else expect(expectProblem(answer, 503, 'unavailable').detail).toContain('large requests')
    }
    expect(highest - before).toBeLessThan(grownBytesMax)
    expectStatus(await api.post('/v1/jobs', sandbox()), 202)
  },
  limitMs,
)

test('a large body of somebody unknown is not read at all', async () => {
  const text = await exchange(
    used.weir.baseUrl,
    post('content-length: 9000000\r\nconnection: close', '{"type":'),
  )
  expect(text).toMatch(/^HTTP\/1\.1 401 /)
  expect(text).toContain('"code":"unauthenticated"')
})
