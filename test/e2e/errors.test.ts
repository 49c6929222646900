import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { Client, expectNoFault, expectProblem, expectStatus } from '../support/client.ts'
import { sandbox, type Answer } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'

const used = useWeir({ env: { NODE_ENV: 'production', WEIR_ALLOW_PRIVATE_WEBHOOKS: 'false' } })
let api: Client
let jobId: string

beforeAll(async () => {
  api = (await used.newOrg({ credits: 1_000_000_000n })).api
  jobId = (await api.run(sandbox())).jobId
})

async function postRaw(
  raw: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  path = '/v1/jobs',
): Promise<Answer<unknown>> {
  return await api.call('POST', path, { raw, headers })
}

function json(fields: string): string {
  return `{"type":"sandbox.run","input":{"steps":1,"stepMs":0}${fields}}`
}

function nested(depth: number): string {
  return `${'[{"a":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`
}

// Who may

test('without a usable token every route but the public ones answers 401', async () => {
  const token = api.token ?? ''
  const last = token.endsWith('A') ? 'B' : 'A'
  const wrong = [undefined, '', 'x', 'weir_live_a_b_c', `${token.slice(0, -1)}${last}`, `${token}A`]
  for (const each of wrong) {
    const client = new Client(used.weir.baseUrl, each)
    for (const path of ['/v1/jobs', `/v1/jobs/${jobId}`, '/v1/balance', '/v1/admin/orgs']) {
      const answer = await client.get(path)
      expectProblem(answer, 401, 'unauthenticated')
      expect(answer.headers.get('www-authenticate')).toContain('Bearer')
    }
    expectProblem(await client.post('/v1/jobs', sandbox()), 401, 'unauthenticated')
  }
  const basic = await used.nobody.get('/v1/jobs', { authorization: `Basic ${token}` })
  expectProblem(basic, 401, 'unauthenticated')
  for (const path of ['/healthz', '/readyz']) expectStatus(await used.nobody.get(path), 200)
})

test('what is not there is not found, and a wrong method is no fault', async () => {
  const missing = ['/v1/nowhere', '/v2/jobs', '/v1', '/nowhere', '/v1/jobs/x/y/z', '/.env', '/v1/']
  for (const path of missing) expectProblem(await api.get(path), 404, 'not_found')
  const nobodys = '/v1/jobs/01900000-0000-7000-8000-000000000000'
  expectProblem(await api.get(nobodys), 404, 'not_found')
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    for (const path of ['/v1/jobs', `/v1/jobs/${jobId}`, '/v1/balance', '/', '/healthz']) {
      const answer = await api.call(method, path)
      expect([404, 405]).toContain(answer.status)
      expectNoFault(answer, `${method} ${path}`)
    }
  }
})

test('in production nobody gets a session for nothing', async () => {
  expectProblem(await used.nobody.get('/v1/dev/session'), 404, 'not_found')
})

test('HEAD, slashes too many and odd escapes are no fault', async () => {
  for (const path of [
    '/',
    '/v1/jobs',
    `/v1/jobs/${jobId}`,
    '/v1/balance',
    '/healthz',
    '/nowhere',
  ]) {
    const answer = await api.call('HEAD', path)
    expect({ path, body: answer.text }).toEqual({ path, body: '' })
    expectNoFault(answer, `HEAD ${path}`)
  }
  const odd = [
    ...['/v1/jobs/', `/v1/jobs/${jobId}/`, '//v1/jobs', '/v1//jobs', '/v1/jobs//', '/%', '/%zz'],
    ...['/v1/jobs/%', '/v1/jobs/%ff', '/v1/jobs/%00', '/v1/objects/', '/v1/objects/%2e%2e%2fx'],
    ...['/v1/objects/../../etc/passwd', '/v1/jobs?%', '/v1/jobs?a=%ff', '/v1/jobs?__proto__[a]=1'],
    ...['/v1/jobs?constructor=1', '/v1/jobs?toString=1', `/v1/jobs?${'a=1&'.repeat(2_000)}`],
    ...[`/v1/jobs/${'x'.repeat(5_000)}`, '/v1/jobs;a=b', '/v1/jobs?status', '/jobs/', '/jobs/../x'],
  ]
  for (const path of odd) expectNoFault(await api.get(path), path)
})

// Bodies

test('a body that is no JSON object is 400', async () => {
  const bodies = [
    ...['', ' ', '{"type":', '{}x', 'nonsense', '{"a":1,}', "{'a':1}", '// x', 'NaN', '\ufeff'],
    ...['null', 'true', '17', '"x"', '[]', '{}', '[{}]', '{"type":null}', '{"type":"sandbox.run"}'],
  ]
  for (const body of bodies) expectProblem(await postRaw(body), 400, 'invalid_request')
  const none = await api.post('/v1/jobs')
  expectProblem(none, 400, 'invalid_request')
})

test('text that cannot be stored or shown is refused, or kept as it is', async () => {
  const invalidUtf8 = Buffer.concat([
    Buffer.from('{"type":"sandbox.run","input":{"steps":1,"stepMs":0},"userId":"'),
    Buffer.from([0xc3, 0x28, 0xff]),
    Buffer.from('"}'),
  ])
  const refused = [
    invalidUtf8,
    json(',"userId":"\\u0000"'),
    json(',"userId":"\\ud800"'),
    json(',"userId":"a\\udc00b"'),
    '{"type":"\\u0000","input":{}}',
    '{"type":"\\ud800","input":{}}',
  ]
  for (const body of refused) expectProblem(await postRaw(body), 400, 'invalid_request')
  const odd = [
    '"a\\u0000b"',
    '"\\ud800"',
    '{"\\u0000":1}',
    '{"\\udfff":1}',
    '"\\ud83d\\ude00"',
    '1e400',
  ]
  for (const value of odd) {
    const answer = await postRaw(json(`,"metadata":{"odd":${value}}`))
    expectNoFault(answer, value)
    if (answer.status !== 202) continue
    const { jobId: id, metadata } = answer.json as JobView
    const job = await api.finished({ jobId: id })
    expect(job).toMatchObject({ status: 'succeeded', metadata })
  }
  for (const path of ['/v1/jobs?limit=100', '/v1/usage?limit=100']) {
    expectStatus(await api.get(path), 200)
  }
})

test('deep nesting and keys that would reach a prototype are refused before any work', async () => {
  for (const depth of [34, 1_000, 5_000, 100_000]) {
    const body = json(`,"metadata":{"deep":${nested(depth)}}`)
    expectProblem(await postRaw(body), 400, 'invalid_request')
  }
  expectProblem(await postRaw('['.repeat(1_000_000)), 400, 'invalid_request')
  const deepest = await postRaw(json(`,"metadata":{"deep":${nested(30)}}`))
  expect(deepest.status).toBe(202)
  const keys = [
    ',"__proto__":{"type":"x"}',
    ',"metadata":{"__proto__":{"a":1}}',
    ',"metadata":{"a":{"constructor":{"prototype":{"a":1}}}}',
    ',"metadata":{"\\u005f_proto__":{"a":1}}',
  ]
  for (const key of keys) expectProblem(await postRaw(json(key)), 400, 'invalid_request')
  expect(Object.prototype).not.toHaveProperty('a')
})

test('numbers of any size are no fault', async () => {
  const numbers = [
    '1e400',
    '-1e400',
    '1e308',
    '-0',
    '0.1',
    '9007199254740993',
    `1${'0'.repeat(400)}`,
  ]
  for (const number of numbers) {
    const bodies = [
      `{"type":"sandbox.run","input":{"steps":${number},"stepMs":0}}`,
      `{"type":"sandbox.run","input":{"steps":1,"stepMs":${number}}}`,
      json(`,"deadlineSeconds":${number}`),
      json(`,"metadata":{"n":${number}}`),
    ]
    for (const body of bodies) expectNoFault(await postRaw(body), body.slice(0, 100))
  }
  for (const deadlineSeconds of [0, -1, 1.5, 1e20, '60']) {
    const answer = await api.post('/v1/jobs', sandbox({}, { deadlineSeconds }))
    expectProblem(answer, 400, 'invalid_request')
  }
})

test('size and type of a body are limited', async () => {
  const large = JSON.stringify(sandbox({ x: 'y'.repeat(10_000_001) }))
  const tooLarge = await postRaw(large).catch(() => undefined)
  // The answer may come before the body is read, and the connection with it.
  if (tooLarge) expectProblem(tooLarge, 413, 'too_large')
  const types = ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'nonsense', '']
  for (const type of types) {
    const answer = await postRaw('a=b', { 'content-type': type })
    expectProblem(answer, 415, 'unsupported_media_type')
  }
  for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON']) {
    expect((await postRaw(json(''), { 'content-type': type })).status).toBe(202)
  }
  const packed = await postRaw(gzipSync(json('')), { 'content-encoding': 'gzip' })
  expect(expectProblem(packed, 415, 'unsupported_media_type').detail).toContain('Content-Encoding')
  expect((await postRaw(json(''), { 'content-encoding': 'identity' })).status).toBe(202)
})

test('the envelope names each member that is wrong', async () => {
  const wrong: readonly (readonly [object, string])[] = [
    [{ input: {} }, '/type'],
    [{ type: 'sandbox.run' }, '/input'],
    [{ ...sandbox(), surplus: 1 }, '/surplus'],
    [{ ...sandbox(), userId: 'x'.repeat(129) }, '/userId'],
    [{ ...sandbox(), userId: '' }, '/userId'],
    [{ ...sandbox(), priority: 'urgent' }, '/priority'],
    [{ ...sandbox(), runAt: 'tomorrow' }, '/runAt'],
    [{ ...sandbox(), runAt: 1_700_000_000 }, '/runAt'],
    [{ ...sandbox(), metadata: 'x' }, '/metadata'],
    [{ ...sandbox(), metadata: { long: 'x'.repeat(17_000) } }, '/metadata'],
    [{ ...sandbox(), webhook: { url: 17 } }, '/webhook/url'],
    [{ ...sandbox(), webhook: { url: 'https://a.example', events: ['x'] } }, '/webhook/events/0'],
    [{ ...sandbox(), webhook: {} }, '/webhook/url'],
  ]
  for (const [body, pointer] of wrong) {
    const { errors } = expectProblem(await api.post('/v1/jobs', body), 400, 'invalid_request')
    expect(errors).toContainEqual({ pointer, detail: expect.stringMatching(/\S/) })
  }
})

test('the input names each member that is wrong', async () => {
  const png = `data:image/png;base64,${'A'.repeat(100)}`
  const upscale = (input: object) => ({ type: 'image.upscale', input })
  const wrong: readonly (readonly [object, string])[] = [
    [{ type: 'no.such', input: {} }, '/type'],
    [{ type: 'constructor', input: {} }, '/type'],
    [{ type: '__proto__', input: {} }, '/type'],
    [sandbox({ steps: 0 }), '/input/steps'],
    [sandbox({ steps: 1_001 }), '/input/steps'],
    [sandbox({ steps: '2' }), '/input/steps'],
    [sandbox({ stepMs: -1 }), '/input/stepMs'],
    [sandbox({ surplus: 1 }), '/input/surplus'],
    [sandbox({ fail: { atStep: 0, times: 1 } }), '/input/fail/atStep'],
    [sandbox({ fail: { atStep: 1, times: 1, code: 'Not A Code' } }), '/input/fail/code'],
    [upscale({ scale: 2 }), '/input/image'],
    [upscale({ image: png, scale: 5 }), '/input/scale'],
    [upscale({ image: png, scale: 2, format: 'gif' }), '/input/format'],
    [upscale({ image: 'http://a.example/x.png', scale: 2 }), '/input/image'],
    [upscale({ image: 'file:///etc/passwd', scale: 2 }), '/input/image'],
    [upscale({ image: 'data:text/html,<b>', scale: 2 }), '/input/image'],
  ]
  for (const [body, pointer] of wrong) {
    const { errors } = expectProblem(await api.post('/v1/jobs', body), 422, 'invalid_input')
    expect(errors?.map((error) => error.pointer)).toContain(pointer)
  }
})

// Addresses that customers name

const privateHosts = [
  ...['127.0.0.1', 'localhost', '[::1]', '10.0.0.1', '192.168.1.1', '172.16.0.1', '0.0.0.0'],
  ...['169.254.169.254', '100.64.0.1', '[::ffff:127.0.0.1]', '[fd00::1]', '2130706433', '0x7f.1'],
  ...['metadata.google.internal', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '198.18.0.1'],
]

test('a webhook that may never be called is refused, with the reason', async () => {
  const urls = privateHosts.map((host) => `https://${host}/hook`)
  for (const url of [
    ...urls,
    'http://a.example',
    'ftp://a.example',
    'javascript:1',
    'x',
    'https://',
  ]) {
    const { errors } = expectProblem(
      await api.post('/v1/jobs', sandbox({}, { webhook: { url } })),
      422,
      'invalid_input',
    )
    expect({ url, pointers: errors?.map(({ pointer }) => pointer) }).toEqual({
      url,
      pointers: ['/webhook/url'],
    })
  }
  const local = { url: 'http://127.0.0.1:1/hook' }
  const { detail } = expectProblem(
    await api.post('/v1/jobs', sandbox({}, { webhook: local })),
    422,
    'invalid_input',
  )
  expect(detail).toContain('WEIR_ALLOW_PRIVATE_WEBHOOKS')
})

test('a picture at an address that may never be called is refused, not fetched', async () => {
  for (const host of privateHosts) {
    const input = { image: `https://${host}/x.png`, scale: 2 }
    const answer = await api.post('/v1/jobs', { type: 'image.upscale', input })
    const { errors } = expectProblem(answer, 422, 'invalid_input')
    expect(errors?.map(({ pointer }) => pointer)).toEqual(['/input/image'])
  }
})

// Headers

test('a request id is kept when it is safe, and replaced when it is not', async () => {
  const safe = await api.get('/v1/balance', { 'x-request-id': 'order-17_a.b' })
  expect(safe.headers.get('x-request-id')).toBe('order-17_a.b')
  for (const id of ['a b', '<script>', 'x'.repeat(129), '{"a":1}']) {
    const answer = await api.get('/v1/nowhere', { 'x-request-id': id })
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expectProblem(answer, 404, 'not_found')
  }
})

test('no other origin is allowed, and answers are not sniffed', async () => {
  const answer = await api.get('/v1/balance', { origin: 'https://evil.example' })
  expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  const preflight = await used.nobody.call('OPTIONS', '/v1/jobs', {
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  })
  expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
})

test('a Prefer header beyond the limit is refused, one of another kind ignored', async () => {
  const prefer = async (value: string) => await api.post('/v1/jobs', sandbox(), { prefer: value })
  expectProblem(await prefer('wait=61'), 400, 'invalid_request')
  expectProblem(await prefer('wait=99999999'), 400, 'invalid_request')
  for (const value of ['respond-async', 'wait=', 'wait=x', 'wait=-1', 'handling=lenient']) {
    const answer = await prefer(value)
    expect(answer.status).toBe(202)
    expect(answer.headers.get('preference-applied')).toBeNull()
  }
})

test('what is no HTTP is cut off, and weir lives on', async () => {
  const smuggled = 'POST /v1/jobs HTTP/1.1\r\nHost: a\r\n'
  const lines = [
    'nonsense\r\n\r\n',
    'GET /v1/jobs HTTP/9.9\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
    `${smuggled}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `GET /v1/jobs HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    'GET /v1/socket/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n',
    'GET /v1/jobs HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    '\0\0\0\0',
  ]
  for (const text of lines) {
    const answer = await rawAnswer(text)
    expect({ text: text.slice(0, 60), answer }).toEqual({
      text: text.slice(0, 60),
      answer: expect.not.stringMatching(/^HTTP\/1\.1 5/),
    })
  }
  expectStatus(await used.nobody.get('/healthz'), 200)
})

/** What weir sends back to these bytes until it closes the connection, or for half a second. */
async function rawAnswer(text: string): Promise<string> {
  const { hostname, port } = new URL(used.weir.baseUrl)
  return await new Promise((resolve) => {
    let answer = ''
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(text))
    socket.setTimeout(500, () => socket.destroy())
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })
}
