import { once } from 'node:events'
import { request } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { fastify } from 'fastify'
import type { FastifyInstance } from 'fastify'
import { DomainError, errorTable } from '../../../domain/errors.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { intakeOptions, letGoOfBody, limitIntake } from '../../../src/http/intake.ts'
import { waitFor } from '../../support/wait-for.ts'

// Bodies in chunks: nobody says before how large they are.

/** As many as a busy client may have under way. */
const many = 40
const large = 'x'.repeat(100_000)
let instance: FastifyInstance
let url: string
let arrived: number
/** Requests that wait and need their bodies no more. */
let waiting: number
/** What finding out who sends a request takes. */
let identifying: Promise<void>
let clock: SimulatedClock
let stream: PassThrough

beforeEach(async () => {
  arrived = 0
  waiting = 0
  identifying = Promise.resolve()
  clock = new SimulatedClock()
  stream = new PassThrough()
  instance = fastify(intakeOptions)
  instance.addHook('onRequest', async () => {
    arrived += 1
  })
  instance.setErrorHandler((error, _request, reply) => {
    const code = error instanceof DomainError ? error.code : 'internal'
    return reply.status(errorTable[code].status).send(code)
  })
  limitIntake(instance, { clock }, async ({ headers }) => {
    await identifying
    if (headers.authorization === undefined) throw new DomainError('unauthenticated', 'Who?')
  })
  instance.post('/', async ({ body }) => JSON.stringify(body).length)
  instance.get('/', async () => stream)
  instance.post('/wait', async (request, reply) => {
    letGoOfBody(request)
    waiting += 1
    await once(reply.raw, 'close')
  })
  url = await instance.listen({ host: '127.0.0.1', port: 0 })
})

afterEach(async () => {
  await instance.close()
})

type Sent = { readonly sent: ClientRequest; readonly status: Promise<number | undefined> }

/** Begins a body in chunks; nothing of it is the end. */
function begin(body: string, headers: Readonly<Record<string, string>> = {}): Sent {
  const type = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }
  const sent = request(url, { method: 'POST', agent: false, headers: { ...type, ...headers } })
  const status = once(sent, 'response').then((response) => {
    const [answer] = response as [IncomingMessage]
    answer.resume()
    return answer.statusCode
  })
  sent.write(body)
  return { sent, status }
}

test('many small ones at the same time are all taken', async () => {
  const all = Array.from({ length: many }, () => begin('{"a":'))
  await waitFor('all to be there', () => arrived === many)
  for (const { sent } of all) sent.end('1}')
  const statuses = await Promise.all(all.map(({ status }) => status))
  expect(statuses).toEqual(all.map(() => 200))
})

test('one that becomes large is taken from somebody who is known', async () => {
  const known = begin(`{"a":"${large}`, { authorization: 'Bearer key' })
  known.sent.end('"}')
  expect(await known.status).toBe(200)
  const unknown = begin(`{"a":"${large}`)
  expect(await unknown.status).toBe(401)
  unknown.sent.end('"}')
})

test('of those that become large there are only a few at the same time', async () => {
  const all = Array.from({ length: 6 }, () => begin(`{"a":"${large}`, { authorization: 'b' }))
  let refused = 0
  for (const { status } of all) void status.then(() => (refused += 1))
  await waitFor('two to be refused', () => refused === 2)
  for (const { sent } of all) sent.end('"}')
  const statuses = await Promise.all(all.map(({ status }) => status))
  expect(statuses.sort()).toEqual([200, 200, 200, 200, 503, 503])
})

test('what is broken off before it is known who sends it leaves its room to others', async () => {
  let known = (): void => undefined
  identifying = new Promise((resolve) => (known = resolve))
  let gone = 0
  instance.server.on('connection', (socket) => socket.on('close', () => (gone += 1)))
  const headers = { authorization: 'Bearer key', 'content-length': '9000000' }
  const all = Array.from({ length: 4 }, () => {
    const options = { method: 'POST', agent: false, headers }
    return request(url, options).on('error', () => undefined)
  })
  for (const sent of all) sent.flushHeaders()
  await waitFor('all to be there', () => arrived === all.length)
  for (const sent of all) sent.destroy()
  await waitFor('all to be gone', () => gone === all.length)
  known()
  const next = begin(`{"a":"${large}`, { authorization: 'Bearer key' })
  next.sent.end('"}')
  expect(await next.status).toBe(200)
})

test('a request that waits without its body leaves its room to others, once', async () => {
  const headers = { authorization: 'Bearer key', 'content-type': 'application/json' }
  const body = Buffer.concat([Buffer.from('{}'), Buffer.alloc(9_000_000, ' ')])
  const options = { method: 'POST', agent: false, headers }
  const all: ClientRequest[] = []
  while (all.length < 5) {
    all.push(request(`${url}/wait`, options).on('error', () => undefined))
    all.at(-1)?.end(body)
    await waitFor('it to wait', () => waiting === all.length)
  }
  for (const sent of all) sent.destroy()
  const others = Array.from({ length: 6 }, () => begin(`{"a":"${large}`, headers))
  let refused = 0
  for (const { status } of others) void status.then(() => (refused += 1))
  await waitFor('two to be refused', () => refused === 2)
  for (const { sent } of others) sent.end('"}')
  const statuses = await Promise.all(others.map(({ status }) => status))
  expect(statuses.sort()).toEqual([200, 200, 200, 200, 503, 503])
})

test('a long answer is not cut off for a body that came with its request', async () => {
  const sent = request(url, { method: 'GET', agent: false, headers: { 'content-length': '2' } })
  sent.end('{}')
  stream.write('one ')
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  await clock.advance(60_000)
  stream.end('two')
  expect(await text(answer)).toBe('one two')
})
