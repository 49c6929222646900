import { describe, expect, test } from '@jest/globals'
import type { FastifyRequest } from 'fastify'
import { requireSameOrigin, sessionOf, setCookie } from '../../../src/http/session-cookie.ts'

const publicUrl = 'https://weir.example'

function request(headers: Readonly<Record<string, string>>, method = 'POST'): FastifyRequest {
  return { method, headers: { host: 'weir.example', ...headers } } as unknown as FastifyRequest
}

describe('a request with a session', () => {
  test.each([
    ['of weir itself', { origin: 'https://weir.example' }],
    ['of the name that was called', { origin: 'http://localhost:3000', host: 'localhost:3000' }],
    ['of no browser', {}],
    ['of a browser that says so', { 'sec-fetch-site': 'same-origin' }],
  ])('%s passes', (_, headers) => {
    expect(() => requireSameOrigin(request(headers), publicUrl)).not.toThrow()
  })

  test.each([
    ['another site', { origin: 'https://evil.example' }],
    ['a sibling', { origin: 'https://blog.weir.example' }],
    ['another port', { origin: 'https://weir.example:8443' }],
    ['a page without an origin', { origin: 'null' }],
    ['a sibling that hides its origin', { 'sec-fetch-site': 'same-site' }],
    ['another site that hides its origin', { 'sec-fetch-site': 'cross-site' }],
  ])('of %s is refused', (_, headers) => {
    expect(() => requireSameOrigin(request(headers), publicUrl)).toThrow('another origin')
  })

  test('may read whatever its origin: what it reads stays unreadable there', () => {
    const reading = request({ origin: 'https://evil.example' }, 'GET')
    expect(() => requireSameOrigin(reading, publicUrl)).not.toThrow()
  })
})

test('the session is found among other cookies', () => {
  const cookie = 'a=1; weir_admin_session=weir_session_x; weir_admin_session_other=2'
  expect(sessionOf(request({ cookie }))).toBe('weir_session_x')
  expect(sessionOf(request({ cookie: 'weir_admin_session=' }))).toBeNull()
  expect(sessionOf(request({}))).toBeNull()
})

test('the cookie is for the admin routes of this origin alone', () => {
  const rules = 'Path=/v1/admin; Max-Age=60; HttpOnly; SameSite=Strict'
  expect(setCookie('x', 60, 'http://localhost')).toBe(`weir_admin_session=x; ${rules}`)
  expect(setCookie('x', 60, publicUrl)).toBe(`weir_admin_session=x; ${rules}; Secure`)
})
