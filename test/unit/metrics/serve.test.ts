import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { Series } from '../../../src/metrics/registry.ts'
import { serveMetrics } from '../../../src/metrics/serve.ts'
import { freePorts } from '../../support/free-ports.ts'
import { exchange, openRaw } from '../../support/raw-http.ts'

let baseUrl: string
let close: () => Promise<void>

beforeEach(async () => {
  const port = await freePorts()
  baseUrl = `http://127.0.0.1:${port}`
  close = await serveMetrics(new Series(), { port, host: '127.0.0.1' })
})

afterEach(async () => close())

const get = 'GET /metrics HTTP/1.1\r\nhost: a\r\n'

test('metrics and health are told, other paths are not there', async () => {
  const statusOf = async (path: string) => (await fetch(`${baseUrl}${path}`)).status
  expect(await Promise.all(['/metrics?x=1', '/healthz', '/'].map(statusOf))).toEqual([
    ...[200, 200, 404],
  ])
})

test('an empty body, which some clients announce, is none', async () => {
  const bytes = `${get}content-length: 0\r\nconnection: close\r\n\r\n`
  expect(await exchange(baseUrl, bytes)).toMatch(/^HTTP\/1\.1 200 /)
})

test.each([
  ['headers beyond 8 KB', `${get}x-a: ${'b'.repeat(9_000)}\r\n\r\n`, 431],
  ['another method', 'POST /metrics HTTP/1.1\r\nhost: a\r\n\r\n', 405],
  ['a body', `${get}content-length: 100000000\r\n\r\nx`, 405],
])('%s is refused, and the connection closed', async (_, bytes, status) => {
  expect(await exchange(baseUrl, bytes)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
})

test('a request that does not come to its end is cut off', async () => {
  const slow = await openRaw(baseUrl)
  slow.socket.write(get)
  await slow.closed
  expect(slow.text).toMatch(/^HTTP\/1\.1 408 /)
})

test('of many connections only so many stay open', async () => {
  const opened = await Promise.all(Array.from({ length: 60 }, () => openRaw(baseUrl)))
  await Promise.race(opened.map(({ closed }) => closed))
  for (const { socket } of opened) socket.destroy()
  await Promise.all(opened.map(({ closed }) => closed))
  expect(await exchange(baseUrl, `${get}connection: close\r\n\r\n`)).toMatch(/ 200 OK/)
})
