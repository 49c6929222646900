import { DomainError } from '../../../domain/errors.ts'
import { orgId } from './examples.ts'
import type { Route } from './route.ts'
import { example, json } from './route.ts'

/** What weir tells of itself. */
export const metaRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/healthz',
    operationId: 'getHealth',
    summary: 'Whether the process lives',
    description: 'Looks at nothing else: a failing database does not make it fail.',
    access: 'public',
    answers: {
      200: { description: 'It lives.', content: json('Status', example({ status: 'ok' })) },
    },
  },
  {
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    summary: 'Whether requests can be served',
    description: 'The whole way from a request to its end is up: api, worker, projector, database.',
    access: 'public',
    answers: {
      200: { description: 'It is ready.', content: json('Status', example({ status: 'ready' })) },
    },
    refusals: [
      {
        when: 'Not yet, or not now.',
        error: new DomainError('unavailable', 'weir is still starting.'),
      },
    ],
  },
  {
    method: 'get',
    path: '/v1/openapi.json',
    operationId: 'getOpenApi',
    summary: 'This interface as OpenAPI 3.1',
    description: 'The document that you are reading.',
    access: 'public',
    answers: {
      200: {
        description: 'The document.',
        headers: ['ETag'],
        content: { 'application/json': { schema: { type: 'object' } } },
      },
      304: { description: 'You have it already.', headers: ['ETag'] },
    },
  },
  {
    method: 'get',
    path: '/v1/docs',
    operationId: 'getDocs',
    summary: 'This interface as a page',
    description: 'The same, for people.',
    access: 'public',
    answers: {
      200: {
        description: 'The page.',
        headers: ['ETag'],
        content: { 'text/html': { schema: { type: 'string' } } },
      },
      304: { description: 'You have it already.', headers: ['ETag'] },
    },
  },
  {
    method: 'get',
    path: '/v1/dev/session',
    operationId: 'getPageSession',
    summary: 'A token for the page at /',
    description:
      'So that the first look needs no key: a client token of one hour for every job of the ' +
      'first organisation. Only for a browser on the machine that weir runs on, which calls it ' +
      'by a local name, and never in production.',
    access: 'public',
    answers: {
      200: {
        description: 'The token.',
        content: json(
          'PageSession',
          example({
            token:
              'weir_client_eyJvcmdJZCI6IjAxOWI4ZDJiIiwidXNlcklkIjpudWxsfQ' +
              '.b6uFiG0pRxAZk3vQ0cJm1r8yq4Tz7dN2sV9kLwEo5aH',
            orgId,
            expiresAt: '2026-01-31T10:00:00.000Z',
          }),
        ),
      },
    },
    refusals: [
      {
        when: 'The browser is elsewhere, or weir runs in production.',
        error: new DomainError('not_found', 'There is no such route.'),
      },
    ],
  },
]
