import { beforeAll, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { expectProblem, expectStatus, sandbox } from '../support/client.ts'
import type { Client, JobBody, Org, Page, Problem } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const startMicro = 10_000_000n
const jobCount = 25

interface Batch {
  readonly items: readonly BatchItem[]
}

interface BatchItem {
  readonly status: number
  readonly job?: JobView
  readonly error?: Problem
}

const used = useWeir()
/** An org whose jobs are finished, for the tests that only look. */
let settled: Org
let jobs: readonly JobView[]

beforeAll(async () => {
  settled = await used.newOrg({ credits: startMicro })
  const bodies = Array.from({ length: jobCount }, (_, index) =>
    sandbox({ steps: 1 }, { userId: index % 2 === 0 ? 'even' : 'odd', metadata: { index } }),
  )
  const { items } = await submitBatch(settled.api, bodies)
  jobs = items.map(({ job }) => job!)
  await succeeded(settled.api, jobCount)
})

async function submitBatch(api: Client, bodies: readonly unknown[]): Promise<Batch> {
  return expectStatus(await api.post<Batch>('/v1/jobs/batch', { jobs: bodies }), 200)
}

async function succeeded(api: Client, count: number): Promise<JobView[]> {
  return await waitFor(
    `${count} jobs to succeed`,
    async () => {
      const listed = await api.all<JobView>('/v1/jobs?status=succeeded')
      return listed.length === count ? listed : undefined
    },
    15_000,
  )
}

function path(query: Readonly<Record<string, string>>, list = '/v1/jobs'): string {
  return `${list}?${new URLSearchParams(query).toString()}`
}

// Batches

test('in a batch each job is accepted or refused on its own, in order', async () => {
  const { api } = await used.newOrg({ credits: 50_000n })
  const { items } = await submitBatch(api, [
    sandbox({ steps: 2 }),
    { type: 'no.such', input: {} },
    { input: {} },
    sandbox({ steps: 100 }),
    sandbox({ steps: 0 }),
    'nonsense',
    null,
    sandbox({ steps: 2 }, { surplus: true }),
    sandbox({ steps: 1 }),
  ])
  expect(items.map(({ status }) => status)).toEqual([202, 422, 400, 402, 422, 400, 400, 400, 202])
  for (const { status, job, error } of items) {
    expect([job === undefined, error === undefined]).toContain(true)
    if (status !== 202) expect(error).toMatchObject({ status, detail: expect.any(String) })
  }
  expect(items[2]?.error?.errors).toEqual([{ pointer: '/type', detail: 'is required' }])
  const done = await succeeded(api, 2)
  expect(done.map(({ jobId }) => jobId).sort()).toEqual(
    [items[0]!.job!.jobId, items[8]!.job!.jobId].sort(),
  )
  await api.billed(50_000n, 3)
})

test('a batch of a thousand jobs is accepted as a whole', async () => {
  const { api } = await used.newOrg({ credits: 100_000_000n })
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const bodies = Array.from({ length: 1_000 }, () => sandbox({ steps: 1 }, { runAt }))
  const { items } = await submitBatch(api, bodies)
  expect(items.filter(({ status }) => status === 202)).toHaveLength(1_000)
  expect(new Set(items.map(({ job }) => job?.jobId)).size).toBe(1_000)
  const { held } = await waitFor('the holds', async () => {
    const balance = await api.balance()
    return balance.held === '10000000' ? balance : undefined
  })
  expect(held).toBe('10000000')
})

test('only a malformed list fails as a whole', async () => {
  const { api } = settled
  const tooMany = Array.from({ length: 1_001 }, () => sandbox())
  for (const body of [{}, { jobs: [] }, { jobs: 'x' }, { jobs: tooMany }, [], 'x', 17]) {
    expectProblem(await api.post('/v1/jobs/batch', body), 400, 'invalid_request')
  }
  expect(await api.all('/v1/jobs')).toHaveLength(jobCount)
})

// Lists

test('jobs are listed newest first, each exactly once over the pages', async () => {
  const { api } = settled
  for (const limit of [1, 7, 25, 100]) {
    const listed = await api.all<JobView>('/v1/jobs', limit)
    expect(new Set(listed.map(({ jobId }) => jobId))).toEqual(
      new Set(jobs.map(({ jobId }) => jobId)),
    )
    expect(listed).toHaveLength(jobCount)
    const times = listed.map(({ createdAt }) => createdAt)
    expect(times).toEqual([...times].sort().reverse())
  }
})

test('a listed job is the same object as the job itself', async () => {
  const [listed] = (await settled.api.all<JobView>('/v1/jobs')).slice(-1)
  expect(listed).toEqual(await settled.api.job(listed!.jobId))
})

test('jobs are filtered by status, type, user and time', async () => {
  const { api } = settled
  const times = jobs.map(({ createdAt }) => createdAt).sort()
  const [middle = ''] = times.slice(12)
  const counts: readonly (readonly [Record<string, string>, number])[] = [
    [{ status: 'succeeded' }, jobCount],
    [{ status: 'failed' }, 0],
    [{ type: 'sandbox.run' }, jobCount],
    [{ type: 'image.upscale' }, 0],
    [{ userId: 'odd' }, 12],
    [{ userId: 'even', status: 'succeeded', type: 'sandbox.run' }, 13],
    [{ userId: "odd' OR '1'='1" }, 0],
    [{ from: middle }, times.filter((time) => time >= middle).length],
    [{ to: middle }, times.filter((time) => time < middle).length],
    [{ from: '2020-01-01', to: '2020-01-02' }, 0],
    [{ from: '2020-01-01T00:00:00+01:00' }, jobCount],
  ]
  for (const [query, count] of counts) {
    const listed = await api.all(path(query), 10)
    expect({ query, count: listed.length }).toEqual({ query, count })
  }
})

test('a list does not skip or repeat while jobs arrive', async () => {
  const { api } = await used.newOrg({ credits: startMicro })
  await submitBatch(
    api,
    Array.from({ length: 9 }, () => sandbox({ steps: 1 })),
  )
  const before = await succeeded(api, 9)
  const seen: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const query: Record<string, string> = { limit: '2', ...(cursor ? { cursor } : {}) }
    const page: Page<JobView> = expectStatus(await api.get<Page<JobView>>(path(query)), 200)
    seen.push(...page.items.map(({ jobId }) => jobId))
    cursor = page.nextCursor
    await api.run(sandbox({ steps: 1 }))
  }
  expect(seen).toEqual(before.map(({ jobId }) => jobId))
})

const lists: readonly (readonly [string, 'org' | 'admin'])[] = [
  ['/v1/jobs', 'org'],
  ['/v1/usage', 'org'],
  ['/v1/jobs/:jobId/events', 'org'],
  ['/v1/admin/orgs', 'admin'],
  ['/v1/admin/holds', 'admin'],
  ['/v1/admin/jobs', 'admin'],
]

const badEverywhere: readonly string[] = [
  ...['limit=0', 'limit=101', 'limit=-1', 'limit=1.5', 'limit=abc', 'limit=1e1', 'limit=%00'],
  ...['limit=99999999999999999999', 'limit=5&limit=6', 'limit[]=5', 'limit=+5'],
  ...['cursor=nonsense', 'cursor=%00', 'cursor=%F0%9F', 'cursor=W10', 'cursor=bnVsbA'],
  ...['cursor=e30', `cursor=${'a'.repeat(300)}`, 'cursor=a&cursor=b'],
]

test.each(lists)('%s refuses every bad limit and cursor', async (list, caller) => {
  const api = caller === 'org' ? settled.api : used.admin
  for (const query of badEverywhere) {
    const answer = await api.get(`${list.replace(':jobId', jobs[0]!.jobId)}?${query}`)
    // `+5` is " 5" in a query, and `limit[]` another name.
    if (query === 'limit[]=5') expect([200, 400]).toContain(answer.status)
    else expectProblem(answer, 400, 'invalid_request')
  }
})

const badFilters: Readonly<Record<string, readonly string[]>> = {
  '/v1/jobs': [
    ...['status=done', 'status=Succeeded', 'status=queued&status=running', 'userId=%00'],
    ...['from=yesterday', 'from=2026-13-01', 'from=2026-02-30T25:00:00Z', 'from=0', 'to=%00'],
    ...['to=2026-01-01T00:00:00%2B99:00', `type=${'x'.repeat(300)}`, 'userId=a&userId=b'],
    ...['from=+275760-09-13T00:00:00.001Z', 'to=99999-01-01', 'from=-000001-01-01T00:00:00Z'],
  ],
  '/v1/usage': ['from=x', 'to=x', 'jobId=%00', 'provider=%00'],
  '/v1/usage/summary': ['groupBy=password', 'groupBy=constructor', 'groupBy=__proto__', 'from=x'],
  '/v1/jobs/:jobId/events': ['after=-2', 'after=x', 'after=1.5', 'after=1&after=2', 'after=1e3'],
}

test.each(Object.keys(badFilters))('%s refuses every bad filter', async (list) => {
  for (const query of badFilters[list] ?? []) {
    const answer = await settled.api.get(`${list.replace(':jobId', jobs[0]!.jobId)}?${query}`)
    expect({ query, status: answer.status }).toEqual({ query, status: 400 })
    expectProblem(answer, 400, 'invalid_request')
  }
})

test('a cursor fits only the list and the filters that it was made for', async () => {
  const { api } = settled
  const first = expectStatus(await api.get<Page<JobView>>('/v1/jobs?limit=2&userId=odd'), 200)
  const cursor = first.nextCursor ?? ''
  expect(cursor).not.toBe('')
  expectStatus(await api.get(path({ cursor, userId: 'odd' })), 200)
  expectStatus(await api.get(path({ cursor, userId: 'odd', limit: '9' })), 200)
  for (const query of [{ cursor }, { cursor, userId: 'even' }, { cursor, status: 'failed' }]) {
    expectProblem(await api.get(path(query)), 400, 'invalid_request')
  }
  const whole = expectStatus(await api.get<Page<JobView>>('/v1/jobs?limit=2'), 200).nextCursor
  const foreign = await api.get(path({ cursor: whole ?? '' }, '/v1/usage'))
  expectProblem(foreign, 400, 'invalid_request')
  const other = await used.newOrg()
  expectProblem(await other.api.get(path({ cursor, userId: 'odd' })), 400, 'invalid_request')
})

test('a cursor that somebody has tampered with is refused', async () => {
  const lists: Record<string, Client> = { '/v1/jobs': settled.api, '/v1/usage': settled.api }
  lists[`/v1/jobs/${jobs[0]!.jobId}/events`] = settled.api
  lists['/v1/admin/orgs'] = used.admin
  await used.newOrg()
  for (const [list, api] of Object.entries(lists)) {
    const { nextCursor } = expectStatus(await api.get<Page<unknown>>(`${list}?limit=1`), 200)
    const parts = JSON.parse(Buffer.from(nextCursor ?? '', 'base64url').toString()) as string[]
    const forgeries = [
      [parts[0], 'not a time', ...parts.slice(2)],
      [parts[0], '-1', ...parts.slice(2)],
      [parts[0], '294277-01-01T00:00:00Z', ...parts.slice(2)],
      [parts[0], '', ''],
      [parts[0]],
      [parts[0], null, null],
      [parts[0], { a: 1 }, []],
      [...parts, 'more'],
      parts.slice(1),
    ]
    for (const forged of forgeries) {
      const cursor = Buffer.from(JSON.stringify(forged)).toString('base64url')
      const answer = await api.get(path({ cursor }, list))
      expect({ list, forged, status: answer.status }).toEqual({ list, forged, status: 400 })
      expectProblem(answer, 400, 'invalid_request')
    }
  }
})

test('the events of a job are paged from the oldest on', async () => {
  const { api } = settled
  const job: JobBody = sandbox({ steps: 8 })
  const { jobId, revision } = await api.run(job)
  for (const limit of [1, 3, 100]) {
    const events = await api.all<{ revision: number }>(`/v1/jobs/${jobId}/events`, limit)
    expect(events.map((event) => event.revision)).toEqual(
      Array.from({ length: revision + 1 }, (_, index) => index),
    )
  }
  const beyond = await api.all<{ revision: number }>(`/v1/jobs/${jobId}/events?after=4`, 2)
  expect(beyond.map((event) => event.revision)).toEqual(
    Array.from({ length: revision - 4 }, (_, index) => index + 5),
  )
  expect(await api.all(`/v1/jobs/${jobId}/events?after=${revision}`)).toEqual([])
  expect(await api.all(`/v1/jobs/${jobId}/events?after=999999`)).toEqual([])
})

test('operators list the jobs and holds of one org or of all', async () => {
  const { orgId, api } = await used.newOrg()
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const { jobId } = await api.submit(sandbox({}, { runAt }))
  await waitFor('it to be listed', async () => (await api.all('/v1/jobs')).length === 1)
  const listed = await used.admin.all<JobView>(`/v1/admin/jobs?orgId=${orgId}&status=queued`)
  expect(listed).toMatchObject([{ jobId, orgId }])
  const all = await used.admin.all<JobView>('/v1/admin/jobs')
  expect(all.length).toBeGreaterThan(jobCount)
  const holds = await used.admin.all<{ jobId: string }>(`/v1/admin/holds?orgId=${orgId}`, 1)
  expect(holds.map((hold) => hold.jobId)).toEqual([jobId])
})
