import { expect, test } from '@jest/globals'
import { fastify } from 'fastify'
import { DomainError, errorTable } from '../../../domain/errors.ts'
import { registerBodyParsers } from '../../../src/http/body-parsers.ts'
import { versionedUrl } from '../../../src/http/versioned-url.ts'

const page = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

test.each([
  ['/jobs', '/v1/jobs'],
  ['/jobs?limit=1', '/v1/jobs?limit=1'],
  ['/jobs/x/events', '/v1/jobs/x/events'],
  ['/admin/orgs/x/grants', '/v1/admin/orgs/x/grants'],
  ['/admin/prices', '/v1/admin/prices'],
  ['/v1/jobs', '/v1/jobs'],
  ['http://weir.test:3000/balance', '/v1/balance'],
  ['HTTPS://weir.test/v1/jobs?limit=1', '/v1/jobs?limit=1'],
  ['/v1/jobs?url=http://weir.test/balance', '/v1/jobs?url=http://weir.test/balance'],
  ['/jobsx', '/jobsx'],
  ['/admin', '/admin'],
  ['/admin/index.js', '/admin/index.js'],
])('%s means %s', (url, meant) => {
  expect(versionedUrl(url, { accept: '*/*' })).toBe(meant)
  expect(versionedUrl(url, {})).toBe(meant)
})

test('what a browser opens below /admin is a page', () => {
  expect(versionedUrl('/admin/orgs', page)).toBe('/admin/orgs')
  expect(versionedUrl('/docs', page)).toBe('/v1/docs')
})

async function post(type: string, payload: string) {
  const instance = fastify()
  registerBodyParsers(instance)
  instance.setErrorHandler((error, _request, reply) => {
    return reply.status(error instanceof DomainError ? errorTable[error.code].status : 500).send()
  })
  instance.post('/', ({ body }) => ({ body: body ?? null }))
  const headers = { 'content-type': type, 'content-length': String(payload.length) }
  return await instance.inject({ method: 'POST', url: '/', headers, payload })
}

const form = 'application/x-www-form-urlencoded'

test('a body is JSON, and one that is empty may be called anything', async () => {
  expect((await post('application/json', '{"a":1}')).json()).toEqual({ body: { a: 1 } })
  expect((await post('application/json; charset=utf-8', '')).json()).toEqual({ body: null })
  expect((await post(form, '')).json()).toEqual({ body: null })
  expect((await post(form, 'a=1')).statusCode).toBe(415)
  expect((await post('text/plain', '{"a":1}')).statusCode).toBe(415)
})
