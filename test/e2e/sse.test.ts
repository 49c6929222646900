import { beforeEach, expect, test } from '@jest/globals'
import type { JobEventView } from '../../domain/job/job-view.ts'
import { expectProblem, expectStatus, sandbox, type Client } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'

const used = useWeir()
let api: Client

beforeEach(async () => {
  api = (await used.newOrg()).api
})

interface ServerSentEvent {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: string
}

interface Stream {
  readonly status: number
  readonly headers: Headers
  /** Reads until the server ends the stream, or until `enough` is content. */
  read(enough?: (events: readonly ServerSentEvent[]) => boolean): Promise<ServerSentEvent[]>
}

/** The stream of a job's events, parsed as the standard of server-sent events says. */
async function stream(jobId: string, headers = {}, query = ''): Promise<Stream> {
  const response = await fetch(`${api.baseUrl}/v1/jobs/${jobId}/events${query}`, {
    headers: { authorization: `Bearer ${api.token}`, accept: 'text/event-stream', ...headers },
  })
  return {
    status: response.status,
    headers: response.headers,
    read: async (enough = () => false) => {
      let text = ''
      const decoder = new TextDecoder()
      let events: ServerSentEvent[] = []
      for await (const chunk of response.body ?? []) {
        text += decoder.decode(chunk as Uint8Array, { stream: true })
        events = parse(text)
        if (enough(events)) break
      }
      return events
    },
  }
}

function parse(text: string): ServerSentEvent[] {
  const blocks = text.split('\n\n').slice(0, -1)
  return blocks
    .map((block) => block.split('\n').filter((line) => !line.startsWith(':')))
    .filter((lines) => lines.length > 0)
    .map((lines) => {
      const field = (name: string): string | undefined =>
        lines
          .find((line) => line.startsWith(`${name}:`))
          ?.slice(name.length + 1)
          .trimStart()
      return { id: field('id'), event: field('event'), data: field('data') ?? '' }
    })
}

function transitions(events: readonly ServerSentEvent[]): ServerSentEvent[] {
  return events.filter(({ event }) => event !== 'progress')
}

test('events of a running job come live, with their revision as id, then it ends', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 4, stepMs: 300 }))
  const live = await stream(jobId)
  expect(live.status).toBe(200)
  expect(live.headers.get('content-type')?.split(';')[0]).toBe('text/event-stream')
  expect(live.headers.get('cache-control')).toBe('no-store')
  expect(live.headers.get('x-request-id')).not.toBeNull()
  const events = await live.read()

  const listed = await api.events(jobId)
  const told = transitions(events)
  expect(told.map(({ id }) => Number(id))).toEqual(listed.map(({ revision }) => revision))
  expect(told.map(({ event }) => event)).toEqual(listed.map(({ type }) => type))
  for (const [index, { data }] of told.entries()) {
    const item = JSON.parse(data) as JobEventView
    const { revision, type, at } = listed[index]!
    expect(item).toMatchObject({ revision, type, at, job: { jobId, revision } })
  }
  const progress = events.filter(({ event }) => event === 'progress')
  expect(progress.length).toBeGreaterThan(0)
  for (const { id, data } of progress) {
    expect(id).toBeUndefined()
    expect(JSON.parse(data)).toMatchObject({ progress: expect.any(Number) })
  }
})

test('a stream goes on behind Last-Event-ID, else behind `after`, else begins at 0', async () => {
  const { jobId, revision } = await api.run(sandbox({ steps: 3 }))
  const idsOf = async (headers: object, query = '') =>
    transitions(await (await stream(jobId, headers, query)).read()).map(({ id }) => Number(id))
  const all = Array.from({ length: revision + 1 }, (_, index) => index)
  expect(await idsOf({})).toEqual(all)
  expect(await idsOf({ 'last-event-id': '1' })).toEqual(all.slice(2))
  expect(await idsOf({}, '?after=2')).toEqual(all.slice(3))
  expect(await idsOf({}, '?after=-1')).toEqual(all)
  expect(await idsOf({ 'last-event-id': '3' }, '?after=0')).toEqual(all.slice(4))
  expect(await idsOf({ 'last-event-id': '' })).toEqual(all)
  expect(await idsOf({ 'last-event-id': '' }, '?after=2')).toEqual(all.slice(3))
})

test('a reader that comes back again and again misses nothing and gets nothing twice', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 15, stepMs: 40 }))
  const ids: number[] = []
  for (;;) {
    const last = ids.at(-1)
    const live = await stream(jobId, last === undefined ? {} : { 'last-event-id': String(last) })
    if (live.status === 204) break
    const events = transitions(await live.read((seen) => transitions(seen).length >= 4))
    ids.push(...events.map(({ id }) => Number(id)))
  }
  const { revision } = await api.job(jobId)
  expect(ids).toEqual(Array.from({ length: revision + 1 }, (_, index) => index))
})

test('when a finished job has nothing left to tell, the answer is 204', async () => {
  const { jobId, revision } = await api.run(sandbox())
  for (const last of [revision, revision + 1, 999_999]) {
    expect((await stream(jobId, { 'last-event-id': String(last) })).status).toBe(204)
    expect((await stream(jobId, {}, `?after=${last}`)).status).toBe(204)
  }
})

test('a stream of a job that was queued again ends with its last end only', async () => {
  const fail = { atStep: 2, times: 1, retryable: false }
  const { jobId } = await api.run(sandbox({ steps: 2, stepMs: 100, fail }))
  expectStatus(await api.retry(jobId), 202)
  const events = transitions(await (await stream(jobId)).read())
  const types = events.map(({ event }) => event)
  expect(types).toContain('job.failed')
  expect(types).toContain('job.requeued')
  expect(types.at(-1)).toBe('job.succeeded')
})

test('bad revisions are refused; a browser that accepts anything gets the list', async () => {
  const { jobId } = await api.run(sandbox())
  for (const last of ['x', '-2', '1.5', '99999999999']) {
    const headers = { accept: 'text/event-stream', 'last-event-id': last }
    const answer = await api.get(`/v1/jobs/${jobId}/events`, headers)
    expectProblem(answer, 400, 'invalid_request')
  }
  const list = await api.get(`/v1/jobs/${jobId}/events`, { accept: '*/*' })
  expect(list.headers.get('content-type')).toContain('application/json')
  const other = await used.newOrg()
  const foreign = await other.api.get(`/v1/jobs/${jobId}/events`, { accept: 'text/event-stream' })
  expectProblem(foreign, 404, 'not_found')
})
