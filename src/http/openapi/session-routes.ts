import { DomainError } from '../../../domain/errors.ts'
import type { SessionView } from '../session.controller.ts'
import { sessionRequestSchema } from '../session.controller.ts'
import type { Refusal } from './problems.ts'
import { usualRefusals } from './problems.ts'
import type { Route } from './route.ts'
import { example, json } from './route.ts'
import { choice, object, orNull, published, text, time } from './schema.ts'
import type { Schema } from './schema.ts'

export const sessionSchemas: Readonly<Record<string, Schema>> = {
  SessionRequest: published(sessionRequestSchema),
  Session: object<SessionView>('Who is signed in.', {
    operatorId: text('The operator.'),
    email: text('The address that it signs in with.'),
    role: choice(['viewer', 'support', 'finance', 'owner'], 'What it may do.'),
    expiresAt: orNull(time('When the session ends; null for a token.')),
  }),
}

const email = 'owner@weir.local'
const session = { operatorId: 'owner', email, role: 'owner' }
const content = json('Session', example({ ...session, expiresAt: '2026-01-31T21:00:00.000Z' }))

const otherOrigin: Refusal = {
  when: 'The request comes from a page of another origin.',
  error: new DomainError('forbidden', 'A session may not be used from another origin.'),
}

/** Sessions of operators in browsers. */
export const sessionRoutes: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/admin/session',
    operationId: 'signIn',
    summary: 'Sign in',
    description:
      'Opens a session of 12 hours for a browser: a cookie that no script can read and that no ' +
      'other site sends (`HttpOnly`, `SameSite=Strict`). It opens the routes under `/v1/admin` ' +
      'like a token, to pages of this origin.',
    access: 'public',
    body: {
      required: true,
      content: json('SessionRequest', example({ email, password: 'as in dev.json' })),
    },
    answers: { 201: { description: 'The session.', content, headers: ['Set-Cookie'] } },
    refusals: [
      usualRefusals.invalid_request,
      {
        when: 'The address or the password is wrong.',
        error: new DomainError('unauthenticated', 'The e-mail address or the password is wrong.'),
      },
      otherOrigin,
      usualRefusals.too_large,
      usualRefusals.unsupported_media_type,
      {
        when: 'Too many tries have failed: 10 for one address in a quarter of an hour.',
        error: new DomainError('rate_limited', 'Too many wrong passwords; try again later.', {
          ...{ limit: 10, scope: 'operator', used: 10, resetAt: '2026-01-31T09:01:30.000Z' },
          ...{ policy: 'operator-sign-in', windowSeconds: 900, retryAfterSeconds: 90 },
        }),
      },
      {
        when: 'Too many people sign in at the same time, or weir cannot count their tries.',
        error: new DomainError('unavailable', 'Many passwords are being looked at right now.'),
      },
    ],
  },
  {
    method: 'get',
    path: '/v1/admin/session',
    operationId: 'getSession',
    summary: 'Show who is signed in',
    description: 'Also for who comes with a token.',
    access: { role: 'viewer' },
    answers: { 200: { description: 'The operator.', content } },
  },
  {
    method: 'delete',
    path: '/v1/admin/session',
    operationId: 'signOut',
    summary: 'Sign out',
    description: 'Ends the session everywhere; without one, nothing happens.',
    access: 'public',
    answers: { 204: { description: 'Nobody is signed in any more.', headers: ['Set-Cookie'] } },
    refusals: [otherOrigin],
  },
]
