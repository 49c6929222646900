import { afterEach, expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import { Weir, WeirError, type WeirOptions } from '../../../client/weir.ts'
import {
  json,
  lost,
  playReplies,
  problem,
  silent,
  type Reply,
  type ScriptedServer,
} from '../../support/scripted-server.ts'

const job = { type: 'sandbox.run', input: { steps: 1, stepMs: 0 } }
const accepted = json(202, { jobId: 'j-1', status: 'queued' })

const servers: ScriptedServer[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

/** An SDK against these replies, whose pauses are noted and take no time. */
async function weirAgainst(replies: readonly Reply[], options: Partial<WeirOptions> = {}) {
  const server = await playReplies(...replies)
  servers.push(server)
  const pauses: number[] = []
  let nowMs = 0
  const weir = new Weir({
    baseUrl: server.url,
    token: 'key',
    now: () => nowMs,
    random: () => 0.5,
    sleep: async (ms) => {
      pauses.push(ms)
      nowMs += ms
    },
    ...options,
  } as WeirOptions)
  return { weir, server, pauses }
}

const hostOf = ({ url }: ScriptedServer): string => new URL(url).host

const failureOf = async (promise: Promise<unknown>): Promise<WeirError> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof WeirError) return error
  throw new Error(`Expected a WeirError, got ${String(error)}`)
}

test('a submit whose answer was lost is repeated with the same key and body', async () => {
  const { weir, server, pauses } = await weirAgainst([lost, lost, accepted])
  expect(await weir.submit(job)).toMatchObject({ jobId: 'j-1' })
  expect(server.asked.map(({ body }) => body)).toEqual(Array(3).fill(JSON.stringify(job)))
  const keys = server.asked.map(({ headers }) => headers['idempotency-key'])
  expect(new Set(keys).size).toBe(1)
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/)
  expect(pauses).toEqual([150, 300])
})

test('each submit has a key of its own, or the one that is given', async () => {
  const { weir, server } = await weirAgainst([accepted])
  await weir.submit(job)
  await weir.submit(job)
  await weir.submit(job, { idempotencyKey: 'order 17' })
  const keys = server.asked.map(({ headers }) => headers['idempotency-key'])
  expect(new Set(keys).size).toBe(3)
  expect(keys[2]).toBe('order 17')
})

test('a key that no header can hold is refused at once', async () => {
  const { weir, server, pauses } = await weirAgainst([accepted])
  const submitted = weir.submit(job, { idempotencyKey: 'order €17' })
  await expect(submitted).rejects.toMatchObject({ name: 'TypeError' })
  expect(pauses).toEqual([])
  expect(server.asked).toEqual([])
})

test('a server that is not there is asked again until the time is over', async () => {
  const { weir, server, pauses } = await weirAgainst([accepted], { retryForMs: 10_000 })
  await server.close()
  const error = await failureOf(weir.submit(job))
  expect(error).toMatchObject({ code: 'unreachable', status: 0, isTransient: true })
  expect(error.message).toBe(
    `${server.url} did not answer (connect ECONNREFUSED ${hostOf(server)})`,
  )
  expect(pauses).toEqual([150, 300, 600, 1_200, 2_400, 3_750])
})

test('an option that is undefined is not given', async () => {
  const { weir, pauses } = await weirAgainst([problem(503, 'unavailable')], {
    retryForMs: undefined,
    timeoutMs: undefined,
    timeout: undefined,
  } as object)
  expect(await failureOf(weir.balance())).toMatchObject({ code: 'unavailable' })
  expect(pauses.length).toBeLessThan(20)
})

test('what fails on the side of weir is repeated, and when weir says if it does', async () => {
  const unavailable = problem(503, 'unavailable', { 'retry-after': '2' })
  const replies = [problem(500, 'internal'), unavailable, json(502, 'bad gateway'), accepted]
  const { weir, server, pauses } = await weirAgainst(replies)
  await weir.submit(job)
  expect(server.asked).toHaveLength(4)
  expect(pauses).toEqual([150, 2_100, 600])
})

test('a first request that is still in flight is awaited', async () => {
  const inFlight = problem(409, 'idempotency_in_flight', { 'retry-after': '1' })
  const { weir, server } = await weirAgainst([inFlight, inFlight, accepted])
  expect(await weir.submit(job)).toMatchObject({ jobId: 'j-1' })
  expect(server.asked).toHaveLength(3)
})

test('a limit that ends soon is waited for, one that does not is told at once', async () => {
  const soon = problem(429, 'rate_limited', { 'retry-after': '3' })
  const patient = await weirAgainst([soon, accepted])
  await patient.weir.submit(job)
  expect(patient.pauses).toEqual([3_100])

  const late = problem(429, 'quota_exceeded', { 'retry-after': '3600' })
  const { weir, server, pauses } = await weirAgainst([late])
  const error = await failureOf(weir.submit(job))
  expect(error).toMatchObject({ status: 429, code: 'quota_exceeded', retryAfterSeconds: 3_600 })
  expect(server.asked).toHaveLength(1)
  expect(pauses).toEqual([])
})

test('a refusal is not repeated, and says everything that weir said', async () => {
  const errors = [{ pointer: '/input/steps', detail: 'must be a number' }]
  const body = { code: 'insufficient_credits', detail: 'Too little.', requestId: 'r-2', errors }
  const replies = [json(402, { ...body, required: '9', available: '5' })]
  const { weir, server } = await weirAgainst(replies)
  const error = await failureOf(weir.submit(job))
  expect(error).toMatchObject({
    ...{ name: 'WeirError', status: 402, code: 'insufficient_credits', message: 'Too little.' },
    ...{ requestId: 'r-2', errors, retryAfterSeconds: null, isTransient: false },
    problem: { required: '9', available: '5' },
  })
  for (const [status, code] of [
    [400, 'invalid_request'],
    [409, 'conflict'],
    [422, 'idempotency_mismatch'],
  ] as const) {
    const refused = await weirAgainst([problem(status, code)])
    expect(await failureOf(refused.weir.cancel('j-1'))).toMatchObject({ status, code })
    expect(refused.server.asked).toHaveLength(1)
  }
  expect(server.asked).toHaveLength(1)
})

test('an answer that is none of weir’s is told by its status', async () => {
  const { weir } = await weirAgainst([(response) => response.writeHead(404).end('<h1>no</h1>')])
  expect(await failureOf(weir.job('j-1'))).toMatchObject({ status: 404, code: 'http_404' })
  const login = await weirAgainst([bytes('<h1>Sign in</h1>')])
  expect(await failureOf(login.weir.submit(job))).toMatchObject({ status: 200, code: 'http_200' })
  expect(login.server.asked).toHaveLength(1)
  const numbered = await weirAgainst([json(403, { code: 1020 })])
  expect(await failureOf(numbered.weir.job('j-1'))).toMatchObject({ code: 'http_403' })
})

test('a command that is redirected fails: it would become a question', async () => {
  const moved: Reply = (response) => response.writeHead(301, { location: '/v1/jobs' }).end()
  const { weir, server } = await weirAgainst([moved, json(200, { items: [] })])
  expect(await failureOf(weir.submit(job))).toMatchObject({ status: 301, code: 'http_301' })
  expect(server.asked).toHaveLength(1)
})

test('an attempt that takes too long is given up and repeated', async () => {
  let attempts = 0
  const timeout = (): AbortSignal =>
    ++attempts === 1 ? AbortSignal.timeout(50) : new AbortController().signal
  const { weir, server } = await weirAgainst([silent, accepted], { timeout })
  expect(await weir.submit(job)).toMatchObject({ jobId: 'j-1' })
  expect(server.asked).toHaveLength(2)
})

test('a submit that waits gives weir the time for it', async () => {
  const timeouts: number[] = []
  const timeout = (ms: number): AbortSignal => {
    timeouts.push(ms)
    return new AbortController().signal
  }
  const { weir, server } = await weirAgainst([accepted], { timeout })
  await weir.submit(job, { wait: 20 })
  expect(server.asked[0]?.headers['prefer']).toBe('wait=20')
  expect(timeouts).toEqual([50_000])
})

test('who aborts is not kept waiting', async () => {
  const stop = new AbortController()
  const { weir, server } = await weirAgainst([problem(503, 'unavailable')], {
    sleep: async () => stop.abort(new Error('enough')),
  })
  await expect(weir.submit(job, { signal: stop.signal })).rejects.toThrow('enough')
  expect(server.asked).toHaveLength(1)

  const hanging = await weirAgainst([(_response) => stopLater.abort(new Error('enough'))])
  const stopLater = new AbortController()
  const submitted = hanging.weir.submit(job, { signal: stopLater.signal })
  await expect(submitted).rejects.toThrow('enough')
})

test('a token that weir refuses is renewed once, where it comes from a function', async () => {
  const asked: boolean[] = []
  const token = ({ renew }: { readonly renew: boolean }): string => {
    asked.push(renew)
    return renew ? 'new' : 'old'
  }
  const refused = problem(401, 'unauthenticated')
  const { weir, server } = await weirAgainst([refused, accepted, refused], { token })
  await weir.submit(job)
  expect(server.asked.map(({ headers }) => headers.authorization)).toEqual([
    'Bearer old',
    'Bearer new',
  ])
  expect(await failureOf(weir.job('j-1'))).toMatchObject({ code: 'unauthenticated' })
  expect(asked).toEqual([false, true, false, true])

  const fixed = await weirAgainst([refused])
  expect(await failureOf(fixed.weir.job('j-1'))).toMatchObject({ status: 401 })
  expect(fixed.server.asked).toHaveLength(1)
})

test('a token that cannot be had now is asked for again, a refusal of it is told', async () => {
  let asked = 0
  const token = (): string => {
    asked += 1
    if (asked < 3) throw new TypeError('fetch failed')
    return 'late'
  }
  const { weir, server } = await weirAgainst([accepted], { token })
  await weir.submit(job)
  expect(server.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer late'])
  const refusal = new WeirError({ status: 0, code: 'no_session', message: 'Sign in first.' })
  const refused = await weirAgainst([accepted], { token: () => Promise.reject(refusal) })
  expect(await failureOf(refused.weir.submit(job))).toBe(refusal)
})

test('weir may live below a path', async () => {
  const { server } = await weirAgainst([accepted])
  const weir = new Weir({ baseUrl: `${server.url}/jobs/weir`, apiKey: 'weir_live_x' })
  await weir.submit(job)
  expect(server.asked[0]).toMatchObject({
    path: '/jobs/weir/v1/jobs',
    headers: { authorization: 'Bearer weir_live_x' },
  })
})

test('a list asks for its next page when it is needed', async () => {
  const page = (ids: readonly number[], nextCursor: string | null) =>
    json(200, { items: ids.map((jobId) => ({ jobId })), nextCursor })
  const { weir, server } = await weirAgainst([page([1, 2], 'c'), lost, page([3], null)])
  const seen: unknown[] = []
  for await (const { jobId } of weir.jobs({ status: 'failed', userId: 'ü 1' })) {
    seen.push(jobId)
    expect(server.asked.length).toBe(seen.length < 3 ? 1 : 3)
  }
  expect(seen).toEqual([1, 2, 3])
  const filters = 'limit=100&status=failed&userId=%C3%BC+1'
  expect(server.asked.map(({ path }) => path)).toEqual([
    `/v1/jobs?${filters}`,
    `/v1/jobs?${filters}&cursor=c`,
    `/v1/jobs?${filters}&cursor=c`,
  ])
})

test('an upload whose answer was lost is made anew: a URL takes one PUT', async () => {
  let slots = 0
  const slot: Reply = (response, asked) => {
    const uploadId = `u-${++slots}`
    const url = `http://${asked.headers.host}/put/${uploadId}`
    const headers = { 'content-type': 'image/png' }
    json(201, { uploadId, url, method: 'PUT', headers })(response, asked)
  }
  const { weir, server } = await weirAgainst([slot, lost, slot, json(201, {})])
  expect(await weir.upload(new TextEncoder().encode('a picture'), 'image/png')).toBe('u-2')
  expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
    ...['POST /v1/uploads', 'PUT /put/u-1', 'POST /v1/uploads', 'PUT /put/u-2'],
  ])
  expect(server.asked[0]?.body).toBe('{"contentType":"image/png","bytes":9}')
  expect(server.asked[3]).toMatchObject({
    body: 'a picture',
    headers: { 'content-type': 'image/png', 'content-length': '9' },
  })
  expect(server.asked[3]?.headers.authorization).toBeUndefined()
  const keys = server.asked.map(({ headers }) => headers['idempotency-key'])
  expect(keys[0]).not.toBe(keys[2])
})

const resultBytes = 'the result'
const result = {
  ...{ url: 'http://weir/v1/jobs/j-1/result', contentType: 'text/plain' },
  bytes: resultBytes.length,
  sha256: createHash('sha256').update(resultBytes).digest('hex'),
}
const finished = json(200, { jobId: 'j-1', status: 'succeeded', result })
const bytes =
  (text: string): Reply =>
  (response) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end(text)

test('a result is checked, and fetched again when it does not arrive whole', async () => {
  const replies = [lost, bytes('the resulT'), finished, bytes('the res'), finished]
  const { weir, server } = await weirAgainst([...replies, bytes(resultBytes), finished])
  const download = await weir.result('j-1')
  expect(new TextDecoder().decode(download.data)).toBe(resultBytes)
  expect(download).toMatchObject({ ...result, downloadUrl: `${server.url}/v1/jobs/j-1/result` })
  expect(server.asked).toHaveLength(7)
})

test('a result that stays wrong is refused', async () => {
  const wrong: Reply = (response, asked) =>
    (asked.path.endsWith('/result') ? bytes('forged one') : finished)(response, asked)
  const { weir } = await weirAgainst([wrong])
  expect(await failureOf(weir.result('j-1'))).toMatchObject({ code: 'corrupt_result' })
})
