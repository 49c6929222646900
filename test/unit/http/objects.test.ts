import { connect } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ObjectStoreUnavailable } from '../../../domain/ports/object-store.ts'
import { MemoryObjectStore } from '../../../infra/memory/object-store.ts'
import { serveObjects, type ObjectServer } from '../../support/object-server.ts'
import { waitFor } from '../../support/wait-for.ts'

const bytes = Buffer.from('0123456789'.repeat(20_000))
const minuteMs = 60_000

let served: ObjectServer<MemoryObjectStore>

beforeAll(async () => {
  served = await serveObjects((options) => new MemoryObjectStore(options))
  await served.store.put('results/a', bytes, { contentType: 'text/html', bytesMax: 1e6 })
})

afterAll(() => served.server.close())

async function signedGet(key = 'results/a'): Promise<string> {
  return (await served.store.signGet(key, served.clock.now() + minuteMs)).url
}

async function signedPut(key: string, length = 10): Promise<string> {
  const expiresAt = served.clock.now() + minuteMs
  const grant = { key, contentType: 'image/png', bytes: length, expiresAt }
  return (await served.store.signPut(grant)).url
}

function put(
  url: string,
  body: string | ReadableStream<Uint8Array>,
  type = 'image/png',
): Promise<Response> {
  const headers = { 'content-type': type }
  if (typeof body === 'string') return fetch(url, { method: 'PUT', headers, body })
  return fetch(url, { method: 'PUT', headers, body, duplex: 'half' })
}

async function expectProblem(answer: Response, status: number, code: string): Promise<void> {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect(answer.headers.get('x-request-id')).toBe('request-1')
  expect(await answer.json()).toMatchObject({
    type: expect.any(String),
    title: expect.any(String),
    detail: expect.any(String),
    status,
    code,
    requestId: 'request-1',
  })
  expect(answer.status).toBe(status)
}

describe('a store that fails', () => {
  const broken = new Error('EIO: i/o error')

  test.each([
    ['request failed', broken, 500, 'internal'],
    [
      'what weir stands on does not answer',
      new ObjectStoreUnavailable('get results/a', { cause: broken }),
      503,
      'unavailable',
    ],
  ])('has the line "%s" in the log', async (line, error, status, code) => {
    const url = await signedGet()
    const { store, logged } = served
    logged.length = 0
    store.head = () => Promise.reject(error)
    await expectProblem(await fetch(url), status, code)
    Reflect.deleteProperty(store, 'head')
    expect(logged).toEqual([line])
  })
})

describe('GET', () => {
  test('an object of a customer never runs as a page of ours', async () => {
    const { headers } = await fetch(await signedGet(), { method: 'HEAD' })
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
  })

  test('HEAD tells what GET would, without the bytes', async () => {
    const answer = await fetch(await signedGet(), { method: 'HEAD' })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe('200000')
    expect(answer.headers.get('content-type')).toBe('text/html')
    expect(await answer.text()).toBe('')
  })

  test('what the client has already is not sent again', async () => {
    const url = await signedGet()
    const etag = (await fetch(url, { method: 'HEAD' })).headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[0-9a-f]{64}"$/)
    for (const known of [etag, `W/${etag}`, `"a", ${etag}`, '*']) {
      const answer = await fetch(url, { headers: { 'if-none-match': known } })
      expect([known, answer.status, await answer.text()]).toEqual([known, 304, ''])
    }
    const other = await fetch(url, { headers: { 'if-none-match': '"a"' } })
    expect([other.status, (await other.text()).length]).toEqual([200, bytes.length])
  })

  test.each([
    ['bytes=0-9', 0, 10],
    ['bytes=199990-', 199_990, 200_000],
    ['bytes=-5', 199_995, 200_000],
    ['bytes=150000-999999', 150_000, 200_000],
  ])('%s gives that part', async (range, start, end) => {
    const answer = await fetch(await signedGet(), { headers: { range } })
    expect(answer.status).toBe(206)
    expect(answer.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/200000`)
    expect(answer.headers.get('content-length')).toBe(String(end - start))
    expect(await answer.text()).toBe(bytes.subarray(start, end).toString())
  })

  test.each(['bytes=5-2', 'bytes=200000-', 'bytes=-', 'bytes=0-1,5-6', 'lines=1-2', 'bytes=-0'])(
    '%s gives the whole',
    async (range) => {
      const answer = await fetch(await signedGet(), { headers: { range } })
      expect([answer.status, (await answer.text()).length]).toEqual([200, 200_000])
    },
  )

  test('a part of another version gives the whole', async () => {
    const headers = { range: 'bytes=0-9', 'if-range': '"other"' }
    const answer = await fetch(await signedGet(), { headers })
    expect([answer.status, (await answer.text()).length]).toEqual([200, 200_000])
  })

  test('an object that is gone is a 404', async () => {
    await expectProblem(await fetch(await signedGet('results/gone')), 404, 'not_found')
  })

  test.each([
    ['without a signature', (url: string) => url.replace(/&signature=.*/, '')],
    ['with another signature', (url: string) => url.replace(/signature=./, other)],
    ['with a short signature', (url: string) => url.slice(0, -4)],
    ['with another expiry', (url: string) => url.replace('expires=1', 'expires=2')],
    ['with two expiries', (url: string) => `${url}&expires=9999999999999`],
    ['with a name added', (url: string) => `${url}&name=x.html`],
    ['for another key', (url: string) => url.replace('results/a', 'results/b')],
    ['for a key with dots', (url: string) => url.replace('results/a', 'x%2f..%2fresults/a')],
    ['for no key', (url: string) => url.replace('results/a', '')],
  ])('a URL %s is refused', async (_what, change) => {
    await expectProblem(await fetch(change(await signedGet())), 403, 'forbidden')
  })

  test('an expired URL says so', async () => {
    const url = await signedGet()
    served.clock.aheadMs += minuteMs
    const answer = await fetch(url)
    expect(await answer.clone().text()).toContain('has expired')
    await expectProblem(answer, 403, 'forbidden')
    served.clock.aheadMs -= minuteMs
  })
})

describe('PUT', () => {
  test('the answer tells what was stored', async () => {
    const answer = await put(await signedPut('up/whole'), 'x'.repeat(10))
    expect(answer.status).toBe(201)
    expect(await answer.json()).toMatchObject({ contentType: 'image/png', bytes: 10 })
  })

  test('a body of JSON is stored unread, like any other', async () => {
    const expiresAt = served.clock.now() + minuteMs
    const grant = { key: 'up/json', contentType: 'application/json', bytes: 5, expiresAt }
    const { url } = await served.store.signPut(grant)
    expect((await put(url, '{"a":', 'application/json')).status).toBe(201)
  })

  test('takes one upload, not two', async () => {
    const url = await signedPut('up/once')
    expect((await put(url, 'x'.repeat(10))).status).toBe(201)
    await expectProblem(await put(url, 'y'.repeat(10)), 409, 'conflict')
  })

  test('of two at the same time one is stored', async () => {
    const url = await signedPut('up/race', 1000)
    const answers = await Promise.all(['x', 'y'].map((text) => put(url, text.repeat(1000))))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
  })

  test('another type is refused', async () => {
    const answer = await put(await signedPut('up/type'), 'x'.repeat(10), 'text/html')
    await expectProblem(answer, 415, 'unsupported_media_type')
    expect(await served.store.head('up/type')).toBeNull()
  })

  test.each([
    [11, 413, 'too_large'],
    [9, 400, 'invalid_request'],
    [0, 400, 'invalid_request'],
  ])(
    '%i bytes instead of 10 are refused, with and without content-length',
    async (n, status, code) => {
      const url = await signedPut('up/length')
      await expectProblem(await put(url, 'x'.repeat(n)), status, code)
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(Buffer.from('x'.repeat(n)))
          controller.close()
        },
      })
      await expectProblem(await put(url, stream), status, code)
      expect(await served.store.head('up/length')).toBeNull()
    },
  )

  test('an upload that is cut off stores nothing, and can be made again', async () => {
    const url = new URL(await signedPut('up/cut'))
    const socket = connect(Number(url.port), url.hostname)
    await once(socket, 'connect')
    const head = `PUT ${url.pathname}${url.search} HTTP/1.1\r\nhost: x\r\n`
    socket.write(`${head}content-type: image/png\r\ncontent-length: 10\r\n\r\n12345`)
    await waitFor('the request to arrive', () => connections().then((count) => count > 0))
    socket.destroy()
    await waitFor('the connection to end', () => connections().then((count) => count === 0))
    expect(await served.store.head('up/cut')).toBeNull()
    expect((await put(url.href, 'x'.repeat(10))).status).toBe(201)
  })
})

/** Open connections, without those that fetch keeps for later. */
/** One letter of the signature in its URL becomes another one. */
function other(letter: string): string {
  return letter === 'signature=_' ? 'signature=-' : 'signature=_'
}

function connections(): Promise<number> {
  served.server.server.closeIdleConnections()
  return new Promise((resolve, reject) => {
    served.server.server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
  })
}
