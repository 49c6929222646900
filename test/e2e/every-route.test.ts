import { beforeAll, expect, test } from '@jest/globals'
import { Client, expectNoFault, expectProblem, expectStatus, sandbox } from '../support/client.ts'
import type { Org } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'

// What holds for every route, taken from the description that weir serves: a route that is added
// is tested here from its first day.

interface Operation {
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
}

interface Route {
  readonly method: string
  /** With `{names}` in it. */
  readonly path: string
  /** Who may call it; empty for everybody. */
  readonly callers: readonly string[]
}

const used = useWeir()
let routes: readonly Route[]
let owner: Org
let stranger: Org
/** What the owner has, by the name of the path parameter. */
let ids: Readonly<Record<string, string>>

beforeAll(async () => {
  interface Document {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  }
  const { paths } = expectStatus(await used.nobody.get<Document>('/v1/openapi.json'), 200)
  routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([method]) => ['get', 'post', 'put', 'delete', 'patch'].includes(method))
      .map(([method, { security }]) => ({
        ...{ method: method.toUpperCase(), path },
        callers: security.flatMap((each) => Object.keys(each)),
      })),
  )
  owner = await used.newOrg()
  stranger = await used.newOrg()
  const job = await owner.api.run(sandbox())
  const registration = { url: 'http://127.0.0.1:9/hook' }
  const endpoint = await owner.api.post<{ endpointId: string }>(
    '/v1/webhook-endpoints',
    registration,
  )
  ids = {
    jobId: job.jobId,
    orgId: owner.orgId,
    keyId: 'nobodys',
    endpointId: expectStatus(endpoint, 201).endpointId,
    deliveryId: '01900000-0000-7000-8000-000000000000',
    objectKey: `results/${job.jobId}/1/result.json`,
  }
})

function urlOf({ path }: Route): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? `no ${name} is known here`)
}

async function call(client: Client, route: Route, raw?: string) {
  const { method } = route
  return await client.call(method, urlOf(route), raw === undefined ? {} : { raw })
}

test('the description names the routes of every caller', () => {
  const count = (caller: string) => routes.filter(({ callers }) => callers.includes(caller)).length
  expect(count('apiKey')).toBeGreaterThan(15)
  expect(count('clientToken')).toBeGreaterThan(2)
  expect(count('adminToken')).toBeGreaterThan(10)
  const unknown = routes.filter((route) => urlOf(route).includes('is known here'))
  expect(unknown).toEqual([])
})

test('without a token only what is public answers', async () => {
  for (const route of routes) {
    const answer = await call(used.nobody, route)
    const what = `${route.method} ${route.path}`
    expect({ what, is401: answer.status === 401 }).toEqual({
      what,
      is401: route.callers.length > 0,
    })
    if (route.callers.length > 0) expectProblem(answer, 401, 'unauthenticated')
  }
})

test('what has an id of one org is not there for another, and no key is an admin', async () => {
  for (const route of routes.filter(({ callers }) => callers.length > 0)) {
    if (!route.path.includes('{')) continue
    const answer = await call(stranger.api, route)
    if (route.path.startsWith('/v1/admin/')) expectProblem(answer, 403, 'forbidden')
    else expectProblem(answer, 404, 'not_found')
  }
})

test('a client token opens no route but those for client tokens', async () => {
  const asked = await owner.api.post<{ token: string }>('/v1/tokens', { userId: 'somebody' })
  const client = new Client(used.weir.baseUrl, expectStatus(asked, 201).token)
  for (const route of routes.filter(({ callers }) => callers.length > 0)) {
    const answer = await call(client, route)
    if (route.callers.includes('clientToken')) expectProblem(answer, 404, 'not_found')
    else expectProblem(answer, 403, 'forbidden')
  }
})

test('an operator is no org', async () => {
  for (const route of routes.filter(({ callers }) => callers.includes('apiKey'))) {
    expectProblem(await call(used.admin, route), 403, 'forbidden')
  }
})

const bodies = [
  ...['', 'null', '[]', '{}', '0', '"x"', 'true', '{"a":{}}', '[[[]]]', '{"jobs":[{}]}'],
  ...['{"jobs":[null,1,"x",[],{}]}', '{"jobs":{"length":3}}', '{"type":[],"input":[]}'],
  ...['{"name":{}}', '{"name":"\\u0000"}', '{"name":"x","overdraft":"-1"}', '{"scopes":[{}]}'],
  ...['{"amount":"1e9","kind":"promo","reason":"x"}', '{"amount":"0","reason":"x"}'],
  ...['{"amount":"9999999999999999999","kind":"promo","reason":"x"}', '{"prices":[{}]}'],
  ...['{"contentType":"a/b","bytes":1e400}', '{"contentType":"\\r\\nx: y","bytes":1}'],
  ...['{"ttlSeconds":1e400}', '{"channels":[null]}', '{"userId":{"$ne":null}}'],
  ...['{"url":"http://127.0.0.1:9/","events":[{}]}', '{"url":"\\ud800"}', '{"limits":[{}]}'],
  ...['{"limits":[{"scope":"org","kind":"requests","window":"minute","max":1e400}]}'],
  ...['{"requestsPerMinute":1e400,"reason":"x"}', '{"reason":"\\u0000"}', '{"reason":{}}'],
]

const queries = [
  ...['limit=x', 'cursor=W10', 'from=x&to=x', 'a[b]=c', '__proto__=1', 'status[]=x', 'orgId=%00'],
  ...['groupBy=constructor', 'after=NaN', '%', `x=${'y'.repeat(5_000)}`, 'at=x', 'format=x'],
]

test('no body and no query, on no route, is ever a fault of weir', async () => {
  const own = new Map([
    ['apiKey', owner.api],
    ['adminToken', used.admin],
  ])
  for (const route of routes) {
    const client = own.get(route.callers[0] ?? '') ?? used.nobody
    const what = `${route.method} ${route.path}`
    for (const query of queries) {
      const answer = await client.call(route.method, `${urlOf(route)}?${query}`)
      expectNoFault(answer, `${what}?${query}`)
    }
    if (route.method === 'GET') continue
    for (const raw of bodies) expectNoFault(await call(client, route, raw), `${what} ${raw}`)
  }
})

test('a query that cannot be decoded is refused by every route, and by pages', async () => {
  const pages = ['/', '/page.js', '/v1/docs', '/healthz', '/readyz', '/nowhere']
  const paths = [...routes.map(urlOf), ...pages]
  for (const path of paths) {
    for (const query of ['userId=%ff', 'a=1&b=%zz', '%', 'x=%e4%b', 'x=%ed%a0%80']) {
      const answer = await used.nobody.get(`${path}?${query}`)
      expect({ path, query, status: answer.status }).toEqual({ path, query, status: 400 })
      expectProblem(answer, 400, 'invalid_request')
    }
  }
  expectStatus(await owner.api.get('/v1/jobs?userId=%C3%BC%25ff'), 200)
})
