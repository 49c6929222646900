import { PassThrough } from 'node:stream'
import { expect, test } from '@jest/globals'
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js'
import { fastify } from 'fastify'
import { firstValueFrom, of } from 'rxjs'
import { MemoryIdempotencyStore } from '../../../infra/memory/idempotency-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { AnswerInterceptor } from '../../../src/http/answer.interceptor.ts'
import { Answer } from '../../../src/http/answer.ts'
import type { Principal } from '../../../src/http/authenticator.ts'
import type { RequestContext } from '../../../src/http/request-context.ts'
import type { Runtime } from '../../../src/runtime.ts'

const tenant = { orgId: 'acme', scopes: [] }
const key: Principal = { kind: 'key', keyId: 'k1', ...tenant }
const withKey = { 'idempotency-key': 'one' }

/** A route that answers with what is given, for somebody or nobody. */
function serve(
  principal: Principal | null,
  answer: (count: number) => Answer,
  clock = new SimulatedClock(),
  url = '/',
) {
  const idempotency = new MemoryIdempotencyStore(clock)
  const parts = { idempotency, clock, secretKey: Buffer.alloc(32) }
  const interceptor = new AnswerInterceptor(parts as unknown as Runtime)
  const instance = fastify()
  let count = 0
  instance.route({
    method: ['GET', 'POST'],
    url,
    handler: async (request, reply) => {
      request.weir = { principal, subjectId: 'subject' } as RequestContext
      const context = new ExecutionContextHost([request, reply])
      const handle = () => of(answer((count += 1)))
      return reply.send(await firstValueFrom(interceptor.intercept(context, { handle })))
    },
  })
  return instance
}

test('a command with an Idempotency-Key happens once', async () => {
  const instance = serve(key, (count) => new Answer(201, { count }))
  await instance.inject({ method: 'POST', url: '/', headers: withKey })
  const again = await instance.inject({ method: 'POST', url: '/', headers: withKey })
  expect(again.json()).toEqual({ count: 1 })
  expect(again.headers['idempotent-replayed']).toBe('true')
})

test('a path is the same however it is written', async () => {
  const clock = new SimulatedClock()
  const instance = serve(key, (count) => new Answer(201, { count }), clock, '/things/:name')
  const post = async (url: string): Promise<unknown> =>
    (await instance.inject({ method: 'POST', url, headers: withKey })).json()
  expect(await post('/things/abc')).toEqual({ count: 1 })
  expect(await post('/things/a%62c?x=1')).toEqual({ count: 1 })
  expect(await post('/things/abd')).toEqual({ count: 2 })
})

test('an answer that is not final is not kept: a later repetition finds out', async () => {
  const clock = new SimulatedClock()
  const instance = serve(key, (count) => new Answer(200, { count }, {}, count > 1), clock)
  const post = async (): Promise<unknown> =>
    (await instance.inject({ method: 'POST', url: '/', headers: withKey })).json()
  expect(await post()).toEqual({ count: 1 })
  expect(await post()).toMatchObject({ code: 'idempotency_in_flight' })
  await clock.advance(20_000)
  expect(await post()).toEqual({ count: 2 })
  expect(await post()).toEqual({ count: 2 })
})

test('a request of nobody has no key: a sign-in gives a cookie each time', async () => {
  const cookie = { 'set-cookie': 'session=a' }
  const instance = serve(null, (count) => new Answer(201, { count }, cookie))
  await instance.inject({ method: 'POST', url: '/', headers: withKey })
  const again = await instance.inject({ method: 'POST', url: '/', headers: withKey })
  expect(again.json()).toEqual({ count: 2 })
  expect(again.headers['set-cookie']).toBe('session=a')
})

test('what only reads is not kept', async () => {
  const instance = serve(key, (count) => new Answer(200, { count }))
  await instance.inject({ method: 'HEAD', url: '/', headers: withKey })
  const read = await instance.inject({ method: 'GET', url: '/', headers: withKey })
  expect(read.json()).toEqual({ count: 2 })
})

test('a stream of which only the headers are asked for ends', async () => {
  const stream = new PassThrough()
  const instance = serve(key, () => new Answer(200, stream, { 'content-type': 'text/plain' }))
  const answer = await instance.inject({ method: 'HEAD', url: '/' })
  expect(answer.headers['content-type']).toBe('text/plain')
  expect(stream.destroyed).toBe(true)
})
