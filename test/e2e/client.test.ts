import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { verifyWebhook, Weir, WeirError } from '../../client/weir.ts'
import type { Connection, JobEvent, WatchOptions } from '../../client/weir.ts'
import { sandbox, type Org } from '../support/client.ts'
import { startFlakyProxy, type FlakyProxy } from '../support/flaky-proxy.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'
import { receiveWebhooks } from '../support/webhook-receiver.ts'

// The SDK against the real program, through a network that may break.

const startMicro = 50_000_000n
const limitMs = 120_000
const nobodysJob = '01900000-0000-7000-8000-000000000000'
const photo = new URL('../../examples/photo.jpg', import.meta.url)

type Fetch = (url: string, init: RequestInit) => Promise<Response>

const used = useWeir()
let org: Org
let proxy: FlakyProxy
let weir: Weir

beforeEach(async () => {
  org = await used.newOrg({ credits: startMicro })
  proxy = await startFlakyProxy(used.weir.baseUrl)
  weir = new Weir({ baseUrl: proxy.url, apiKey: org.api.token! })
})

afterEach(async () => {
  await proxy.close()
})

/** Watches to the end; `onEvent` may break things meanwhile. */
async function watched(
  jobId: string,
  options: WatchOptions = {},
  onEvent: (event: JobEvent) => unknown = () => undefined,
): Promise<JobEvent[]> {
  const seen: JobEvent[] = []
  for await (const event of weir.watch(jobId, options)) {
    seen.push(event)
    await onEvent(event)
  }
  return seen
}

function revisions(events: readonly JobEvent[]): number[] {
  return events.map(({ revision }) => revision)
}

/** `from`, `from` + 1, … `to`. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

test('a submit whose answers are lost makes one job, and holds once', async () => {
  proxy.loseAnswers(3)
  const job = await weir.submit(sandbox())
  expect(proxy.connections).toBeGreaterThanOrEqual(4)
  await weir.submit(sandbox(), { idempotencyKey: 'mine' })
  const again = await weir.submit(sandbox(), { idempotencyKey: 'mine' })
  await org.api.finished(job)
  await org.api.finished(again)
  await org.api.billed(startMicro, 4)
  const jobIds = (await org.api.all<{ jobId: string }>('/v1/jobs')).map(({ jobId }) => jobId)
  expect(jobIds.sort()).toEqual([job.jobId, again.jobId].sort())
})

test('a submit that waits answers with the end of the job', async () => {
  const job = await weir.submit(sandbox({ steps: 2, stepMs: 50 }), { wait: 20 })
  expect(job).toMatchObject({ status: 'succeeded', progress: 100 })
})

test('each job of a batch is accepted or refused by itself', async () => {
  proxy.loseAnswers(1)
  const items = await weir.submitBatch([sandbox(), { type: 'no.such', input: {} }, sandbox()])
  expect(items).toMatchObject([
    { status: 202, job: { status: 'queued' } },
    { status: 422, error: { code: 'invalid_input' } },
    { status: 202, job: { status: 'queued' } },
  ])
  await waitFor('the list', async () => (await org.api.all('/v1/jobs')).length === 2)
})

test(
  'a watch whose connection is cut again and again sees each revision once, in order',
  async () => {
    const { jobId } = await weir.submit(sandbox({ steps: 40, stepMs: 100 }))
    const connections: Connection[] = []
    const onConnection = (connection: Connection): unknown => connections.push(connection)
    const seen = await watched(jobId, { onConnection }, ({ revision }) => {
      if (revision % 4 === 1) expect(proxy.cut()).toBeGreaterThan(0)
    })
    const end = await weir.job(jobId)
    expect(end.revision).toBe(42)
    expect(revisions(seen)).toEqual(range(0, end.revision))
    expect(seen.at(-1)).toMatchObject({ type: 'job.succeeded', job: { status: 'succeeded' } })
    for (const { revision, job } of seen) expect(job).toMatchObject({ jobId, revision })
    const states = connections.map(({ state }) => state)
    expect(states.filter((state) => state === 'live').length).toBeGreaterThan(3)
    expect(states).toContain('lost')
  },
  limitMs,
)

test('a watch begins behind what is known, and is over at once after the end', async () => {
  const { jobId, revision } = await org.api.run(sandbox({ steps: 3 }))
  expect(revision).toBe(5)
  expect(revisions(await watched(jobId))).toEqual(range(0, 5))
  expect(revisions(await watched(jobId, { after: 3 }))).toEqual([4, 5])
  expect(await watched(jobId, { after: 5 })).toEqual([])
})

test('an end that a requeue has undone does not end a watch', async () => {
  const fail = { atStep: 2, times: 1, retryable: false }
  const { jobId } = await org.api.run(sandbox({ steps: 2, fail }))
  expect((await watched(jobId)).at(-1)?.type).toBe('job.failed')
  expect(await weir.retry(jobId)).toMatchObject({ jobId, attempt: 1 })
  const types = (await watched(jobId)).map(({ type }) => type)
  expect(types).toEqual([
    ...['job.queued', 'job.started', 'job.step_completed', 'job.failed', 'job.requeued'],
    ...['job.started', 'job.step_completed', 'job.succeeded'],
  ])
})

test('an endless watch goes on when an ended job is retried', async () => {
  const fail = { atStep: 1, times: 1, retryable: false }
  const { jobId } = await org.api.run(sandbox({ steps: 1, fail }))
  const stop = new AbortController()
  const types: string[] = []
  const watching = watched(jobId, { isEndless: true, signal: stop.signal }, async ({ type }) => {
    types.push(type)
    if (type === 'job.failed') await weir.retry(jobId)
    if (type === 'job.succeeded') stop.abort(new Error('seen'))
  })
  await expect(watching).rejects.toThrow('seen')
  expect(types).toEqual([
    ...['job.queued', 'job.started', 'job.failed', 'job.requeued'],
    ...['job.started', 'job.step_completed', 'job.succeeded'],
  ])
})

test(
  'what lies too far behind for the socket comes from the list, through cuts',
  async () => {
    const { jobId } = await weir.submit(sandbox({ steps: 1_000 }))
    await org.api.finished({ jobId }, limitMs)
    proxy.loseAnswers(2)
    const seen = await watched(jobId)
    expect(revisions(seen)).toEqual(range(0, 1_002))

    let failures = 20
    const away: Fetch = (url, init) =>
      failures-- > 0 ? Promise.reject(new TypeError('away')) : fetch(url, init)
    const sleep = (): Promise<void> => Promise.resolve()
    const options = { baseUrl: proxy.url, apiKey: org.api.token!, retryForMs: 0 }
    const events = new Weir({ ...options, fetch: away, sleep }).watch(jobId)
    expect((await events.next()).value).toMatchObject({ revision: 0 })
    await events.return()
    expect(failures).toBeLessThan(0)

    const stop = new AbortController()
    const hanging: Fetch = (_url, { signal }) => {
      queueMicrotask(() => stop.abort(new Error('enough')))
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('aborted')))
      })
    }
    const stopped = new Weir({ ...options, fetch: hanging }).watch(jobId, { signal: stop.signal })
    await expect(stopped.next()).rejects.toThrow('enough')
  },
  2 * limitMs,
)

test('who claims to know more than there is goes on from the job as it is', async () => {
  const { jobId } = await weir.submit(sandbox({ steps: 2, stepMs: 300 }))
  const seen = await watched(jobId, { after: 500 })
  const { revision } = await weir.job(jobId)
  expect(seen.at(-1)?.type).toBe('job.succeeded')
  expect(revisions(seen)).toEqual(range(seen[0]!.revision, revision))
})

test('a watch that is left or aborted closes its connection', async () => {
  const { jobId } = await weir.submit(sandbox({ steps: 20, stepMs: 100 }))
  for await (const { revision } of weir.watch(jobId)) {
    if (revision === 2) break
  }
  const stop = new AbortController()
  const aborted = watched(jobId, { signal: stop.signal }, () => stop.abort(new Error('enough')))
  await expect(aborted).rejects.toThrow('enough')
  await expect(watched(jobId, { signal: AbortSignal.abort() })).rejects.toThrow('aborted')
  await weir.cancel(jobId)
  expect((await watched(jobId)).at(-1)?.type).toBe('job.canceled')
  await waitFor('the sockets to close', () => proxy.cut() <= 1)
})

test('a watch of what may not be seen fails, and says why', async () => {
  const { jobId } = await weir.submit(sandbox())
  const other = await used.newOrg()
  const stranger = new Weir({ baseUrl: proxy.url, apiKey: other.api.token! })
  await expect(stranger.watch(jobId).next()).rejects.toMatchObject({ code: 'not_found' })
  await expect(weir.watch(nobodysJob).next()).rejects.toMatchObject({ code: 'not_found' })
  const nobody = new Weir({ baseUrl: proxy.url, apiKey: 'weir_live_x_y_z' })
  const refused = nobody.watch(jobId).next()
  await expect(refused).rejects.toBeInstanceOf(WeirError)
  await expect(refused).rejects.toMatchObject({ code: 'unauthenticated', status: 401 })
})

test('a connection that stays lost fails the watch when its time is over', async () => {
  let hours = 0
  const baseUrl = proxy.url
  const now = (): number => hours * 3_600_000
  const impatient = new Weir({ baseUrl, apiKey: org.api.token!, now })
  const { jobId } = await weir.submit(sandbox({ steps: 10, stepMs: 300 }))
  const onConnection = ({ state }: Connection): void => {
    if (state === 'lost') hours += 1
  }
  const events = impatient.watch(jobId, { onConnection })
  expect((await events.next()).value).toMatchObject({ revision: 0 })
  proxy.setDown(true)
  proxy.cut()
  const rest = (async () => {
    for await (const event of events) expect(event.job.status).toBe('running')
  })()
  await expect(rest).rejects.toMatchObject({ code: 'unreachable' })
  expect(hours).toBe(2)
  await org.api.cancel(jobId)
})

test(
  'a client token watches and reads, and is renewed when it is over',
  async () => {
    const { jobId } = await weir.submit(sandbox({ steps: 30, stepMs: 250 }, { userId: 'u1' }))
    const tokens: string[] = []
    const renewing = new Weir({
      baseUrl: proxy.url,
      token: async () => {
        // Where tokens come from may be away as well.
        if (tokens.length % 2 === 1) throw new Error(String(tokens.push('none')))
        const { token } = await weir.token({ userId: 'u1', ttlSeconds: 2 })
        tokens.push(token)
        return token
      },
    })
    const seen: JobEvent[] = []
    for await (const event of renewing.watch(jobId)) seen.push(event)
    expect(revisions(seen)).toEqual(range(0, 32))
    expect(new Set(tokens).size).toBeGreaterThan(1)
    expect(await renewing.job(jobId)).toMatchObject({ status: 'succeeded' })
    await expect(renewing.submit(sandbox())).rejects.toMatchObject({ code: 'forbidden' })
  },
  limitMs,
)

test('a picture is uploaded, made larger, downloaded and paid', async () => {
  proxy.loseAnswers(1)
  const image = await weir.upload(new Uint8Array(readFileSync(photo)), 'image/jpeg')
  const { jobId } = await weir.submit(
    { type: 'image.upscale', input: { image, scale: 2 } },
    { wait: 30 },
  )
  const { data, contentType, bytes, downloadUrl } = await weir.result(jobId)
  expect(contentType).toBe('image/jpeg')
  expect(data.byteLength).toBe(bytes)
  const [small, large] = await Promise.all([
    sharp(readFileSync(photo)).metadata(),
    sharp(data).metadata(),
  ])
  expect(large.width).toBe(2 * small.width)
  expect((await used.nobody.get(downloadUrl)).bytes).toEqual(Buffer.from(data))
  await org.api.billed(startMicro, 1, jobId)
  const rows: string[] = []
  for await (const { chargedMicro } of weir.usage({ jobId })) rows.push(chargedMicro)
  expect(rows).toHaveLength(1)
  const { posted } = await weir.balance()
  expect(BigInt(posted)).toBe(startMicro - BigInt(rows[0]!))
})

test('a result that is not there is refused with the reason', async () => {
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const { jobId } = await weir.submit(sandbox({}, { runAt }))
  await expect(weir.result(jobId)).rejects.toMatchObject({ code: 'conflict' })
  expect(await weir.cancel(jobId)).toMatchObject({ status: 'canceled' })
  await expect(weir.result(jobId)).rejects.toMatchObject({ code: 'not_found' })
})

test('jobs are listed page by page, newest first', async () => {
  await weir.submitBatch(Array.from({ length: 120 }, () => sandbox({ steps: 1 })))
  await waitFor('the list', async () => (await org.api.all('/v1/jobs')).length === 120)
  const ids: string[] = []
  for await (const { jobId } of weir.jobs({ type: 'sandbox.run' })) ids.push(jobId)
  expect(new Set(ids).size).toBe(120)
  for await (const job of weir.jobs({ status: 'failed' })) throw new Error(job.jobId)
})

test('a webhook that weir sent is genuine, and what was changed on the way is not', async () => {
  const receiver = await receiveWebhooks()
  const { secret } = (await org.api.get<{ secret: string }>('/v1/webhook-secret')).json
  const webhook = { url: receiver.url, events: ['job.succeeded'] as const }
  const { jobId } = await weir.submit({ ...sandbox(), webhook })
  await waitFor('the webhook', () => receiver.received.length === 1)
  const { raw, headers } = receiver.received[0]!
  const event = await verifyWebhook(raw, headers, secret)
  expect(event).toMatchObject({ type: 'job.succeeded', data: { jobId, status: 'succeeded' } })
  const changed = raw.toString('utf8').replace('succeeded', 'failed')
  await expect(verifyWebhook(changed, headers, secret)).rejects.toMatchObject({ reason: 'forged' })
  await receiver.close()
})
