import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { expect, test } from '@jest/globals'
import { fastify } from 'fastify'
import { DomainError } from '../../../domain/errors.ts'
import { registerBodyParsers } from '../../../src/http/body-parsers.ts'

test('a body in chunks that turns out to be empty needs no type, and any other does', async () => {
  const instance = fastify()
  registerBodyParsers(instance)
  instance.setErrorHandler((error, _request, reply) =>
    reply.status(error instanceof DomainError ? 415 : 500).send(),
  )
  instance.post('/', async ({ body }) => ({ hasBody: body !== undefined }))
  const url = await instance.listen({ host: '127.0.0.1', port: 0 })
  const statusOf = async (body: string): Promise<number | undefined> => {
    const headers = { 'transfer-encoding': 'chunked' }
    const sent = request(url, { method: 'POST', agent: false, headers })
    sent.end(body)
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    answer.resume()
    return answer.statusCode
  }
  const statuses = [await statusOf(''), await statusOf('{}')]
  await instance.close()
  expect(statuses).toEqual([200, 415])
})
