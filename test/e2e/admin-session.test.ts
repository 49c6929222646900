import { expect, test } from '@jest/globals'
import type { SessionView } from '../../src/http/session.controller.ts'
import type { AuditView } from '../../src/queries/list-audit.ts'
import { expectProblem, expectStatus, type Answer } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const used = useWeir()
const path = '/v1/admin/session'
const org = { name: 'by a browser' }

type Headers = Readonly<Record<string, string>>

async function signIn(more: object = {}, headers: Headers = {}): Promise<Answer<SessionView>> {
  const { adminEmail: email, adminPassword: password } = used.weir.dev
  return await used.nobody.post<SessionView>(path, { email, password, ...more }, headers)
}

/** What a browser sends back. */
function cookieOf({ headers }: Answer<unknown>): Headers {
  const [cookie = ''] = (headers.get('set-cookie') ?? '').split(';')
  return { cookie }
}

async function signedIn(): Promise<Headers> {
  const answer = await signIn()
  expectStatus(answer, 201)
  return cookieOf(answer)
}

test('the password of dev.json opens the admin routes by a cookie', async () => {
  const answer = await signIn({ email: used.weir.dev.adminEmail.toUpperCase() })
  const session = expectStatus(answer, 201)
  const { adminEmail: email, baseUrl: origin } = used.weir.dev
  expect(session).toEqual({
    ...{ operatorId: 'owner', email, role: 'owner', expiresAt: expect.any(String) },
  })
  expect(Date.parse(String(session.expiresAt)) - Date.now()).toBeGreaterThan(11 * 3_600_000)
  expect(answer.headers.get('set-cookie')).toMatch(
    /^\w+=weir_session_\w+; Path=\/v1\/admin; Max-Age=43200; HttpOnly; SameSite=Strict$/,
  )
  const browser = cookieOf(answer)
  expect(expectStatus(await used.nobody.get(path, browser), 200)).toEqual(session)
  expectStatus(await used.nobody.get('/v1/admin/orgs', browser), 200)
  expectStatus(await used.nobody.post('/v1/admin/orgs', org, { ...browser, origin }), 201)
  // What it does is done by the operator.
  await waitFor('the acts to be listed', async () => {
    const entries = await used.admin.all<AuditView>('/v1/admin/audit')
    const done = entries.filter(({ actor }) => actor === 'admin:owner')
    const names = new Set(done.map(({ action }) => action))
    return names.has('org.created') && names.has('operator.signed_in')
  })
})

test('the cookie opens nothing but the admin routes', async () => {
  const browser = await signedIn()
  for (const route of ['/v1/balance', '/v1/jobs', '/v1/job-types']) {
    expectProblem(await used.nobody.get(route, browser), 401, 'unauthenticated')
  }
})

test('another site cannot use the session of a browser', async () => {
  const browser = await signedIn()
  const elsewhere = { ...browser, origin: 'https://evil.example' }
  expectProblem(await used.nobody.post('/v1/admin/orgs', org, elsewhere), 403, 'forbidden')
  const hidden = { ...browser, 'sec-fetch-site': 'cross-site' }
  expectProblem(await used.nobody.post('/v1/admin/orgs', org, hidden), 403, 'forbidden')
  const signingOut = { headers: elsewhere }
  expectProblem(await used.nobody.call('DELETE', path, signingOut), 403, 'forbidden')
  expectStatus(await used.nobody.get(path, browser), 200)
  expectProblem(await signIn({}, { origin: 'https://evil.example' }), 403, 'forbidden')
})

test('whoever signs out is out everywhere, at once', async () => {
  const browser = await signedIn()
  const other = await signedIn()
  const left = await used.nobody.call('DELETE', path, { headers: browser })
  expect(left.status).toBe(204)
  expect(left.headers.get('set-cookie')).toContain('weir_admin_session=; Path=/v1/admin; Max-Age=0')
  expectProblem(await used.nobody.get('/v1/admin/orgs', browser), 401, 'unauthenticated')
  expectStatus(await used.nobody.get('/v1/admin/orgs', other), 200)
  expect((await used.nobody.call('DELETE', path, { headers: browser })).status).toBe(204)
})

test('a session that was never opened is none', async () => {
  const { cookie = '' } = await signedIn()
  const last = cookie.at(-1) === 'a' ? 'b' : 'a'
  const changed = [`${cookie.slice(0, -1)}${last}`, 'weir_admin_session=x']
  changed.push(`weir_admin_session=${used.weir.dev.adminToken}`)
  for (const wrong of changed) {
    expectProblem(await used.nobody.get(path, { cookie: wrong }), 401, 'unauthenticated')
  }
})

test('a token needs no session, and says who it is', async () => {
  const { json } = await used.admin.get<SessionView>(path)
  expect(json).toMatchObject({ operatorId: 'owner', role: 'owner', expiresAt: null })
})

test('what is no sign-in is refused', async () => {
  for (const body of [{}, { email: 'a@b.c' }, { email: 1, password: 'x' }]) {
    expectProblem(await used.nobody.post(path, body), 400, 'invalid_request')
  }
  const { status } = await used.nobody.call('POST', path, {
    raw: 'email=a&password=b',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  expect(status).toBe(415)
})

// The last one: it uses up the tries from this address.
test('wrong passwords are refused alike, and then not even looked at', async () => {
  const wrong = await signIn({ password: 'wrong' })
  const unknown = await signIn({ email: 'nobody@weir.local' })
  const problems = [wrong, unknown].map((answer) => expectProblem(answer, 401, 'unauthenticated'))
  expect(problems[0]?.detail).toBe(problems[1]?.detail)
  expect(wrong.headers.get('set-cookie')).toBeNull()
  // Tries that succeed are given back.
  for (let times = 0; times < 3; times++) await signedIn()

  const tries = Array.from({ length: 12 }, () => signIn({ password: 'wrong' }))
  const statuses = (await Promise.all(tries)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 401)).toHaveLength(9)
  expect(statuses.filter((status) => status === 429)).toHaveLength(3)
  const refused = await signIn()
  expectProblem(refused, 429, 'rate_limited')
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expectStatus(await used.admin.get(path), 200)
})
