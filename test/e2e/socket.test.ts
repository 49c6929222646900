import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { JobEventView, JobView } from '../../domain/job/job-view.ts'
import { Client, expectStatus, sandbox, type Org } from '../support/client.ts'
import { connect, refusalOf, type LiveSocket } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const startMicro = 10_000_000n
const nobodysJob = '01900000-0000-7000-8000-000000000000'

const used = useWeir()
let org: Org
let api: Client
let sockets: LiveSocket[] = []

beforeEach(async () => {
  org = await used.newOrg({ credits: startMicro })
  api = org.api
})

afterEach(() => {
  for (const socket of sockets) socket.close()
  sockets = []
})

async function open(token: string | undefined = api.token): Promise<LiveSocket> {
  const socket = await connect(used.weir.baseUrl, token)
  sockets.push(socket)
  return socket
}

function revisions(events: readonly { readonly revision: number }[] | undefined): number[] {
  return (events ?? []).map(({ revision }) => revision)
}

/** `from`, `from` + 1, … `to`. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

async function told(socket: LiveSocket, channel: string, type: string): Promise<void> {
  await waitFor(
    `${type} on ${channel}`,
    () => socket.updates.some((update) => update.channel === channel && update.type === type),
    15_000,
  )
}

async function clientToken(request: object): Promise<string> {
  const answer = await api.post<{ token: string; expiresAt: string }>('/v1/tokens', request)
  return expectStatus(answer, 201).token
}

test('every transition arrives once, in order, and progress between them', async () => {
  const socket = await open()
  const { jobId } = await api.submit(sandbox({ steps: 4, stepMs: 300 }))
  const channel = `job:${jobId}`
  const ack = await socket.subscribe(channel)
  expect(ack).toMatchObject({ ok: true, recovered: true, events: [], job: { jobId } })
  await told(socket, channel, 'job.succeeded')

  const from = ack.job!.revision
  const end = await api.job(jobId)
  expect(revisions(socket.updates)).toEqual(range(from + 1, end.revision))
  const events = await api.events(jobId)
  expect(socket.updates.map(({ type, at }) => ({ type, at }))).toEqual(
    events.slice(from + 1).map(({ type, at }) => ({ type, at })),
  )
  for (const update of socket.updates) {
    expect(update.channel).toBe(channel)
    expect(update.job).toMatchObject({ jobId, revision: update.revision })
  }
  expect(socket.progress.length).toBeGreaterThan(0)
  const percents = socket.progress.map(({ progress }) => progress)
  expect(percents).toEqual([...percents].sort((a, b) => a - b))
  expect(Math.max(...percents)).toBeLessThan(100)
  for (const progress of socket.progress) expect(progress.channel).toBe(channel)
})

test('resuming gives all that was missed: after one, after none, after the last', async () => {
  const { jobId, revision } = await api.run(sandbox({ steps: 3 }))
  const listed = await api.events(jobId)
  const socket = await open()
  for (const after of [-1, 0, 2, revision]) {
    const ack = await socket.subscribe(`job:${jobId}`, after)
    expect(ack).toMatchObject({ ok: true, recovered: true })
    expect(withoutCredits(ack.events)).toEqual(withoutCredits(listed.slice(after + 1)))
    expect(ack.job).toMatchObject({ status: 'succeeded', revision })
  }
  expect(socket.updates).toEqual([])
})

/** Credits come from a read model, which may have moved on in the meantime. */
function withoutCredits(events: readonly JobEventView[] = []): object[] {
  return events.map(({ job, ...event }) => ({ ...event, job: { ...job, credits: null } }))
}

test('a revision beyond the stream is not recovered, and what comes later is told', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 2, stepMs: 200 }))
  const socket = await open()
  const ack = await socket.subscribe(`job:${jobId}`, 500)
  expect(ack).toMatchObject({ ok: true, recovered: false, events: [] })
  await told(socket, `job:${jobId}`, 'job.succeeded')
  const end = await api.job(jobId)
  expect(revisions(socket.updates)).toEqual(range(ack.job!.revision + 1, end.revision))
})

test('across reconnects every revision is seen exactly once, without a hole', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 30, stepMs: 40 }))
  const seen: JobEventView[] = []
  let isFinished = false
  while (!isFinished) {
    const socket = await open()
    const ack = await socket.subscribe(`job:${jobId}`, seen.at(-1)?.revision ?? -1)
    expect(ack.recovered).toBe(true)
    seen.push(...(ack.events ?? []))
    const hasEnded = () => (socket.updates.at(-1) ?? seen.at(-1))?.type === 'job.succeeded'
    await waitFor('some updates', () => socket.updates.length >= 5 || hasEnded())
    socket.close()
    seen.push(...socket.updates)
    isFinished = seen.at(-1)?.type === 'job.succeeded'
  }
  expect(revisions(seen)).toEqual(range(0, (await api.job(jobId)).revision))
})

test('many sockets that subscribe at any moment each see the whole, in order', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 20, stepMs: 20 }))
  const watchers = await Promise.all(
    range(0, 9).map(async () => {
      const socket = await open()
      const ack = await socket.subscribe(`job:${jobId}`, -1)
      return { socket, ack }
    }),
  )
  const { revision } = await api.finished({ jobId })
  for (const { socket, ack } of watchers) {
    // Who subscribed late has the end in its answer.
    const heard = () => [...(ack.events ?? []), ...socket.updates]
    await waitFor('the end', () => heard().at(-1)?.revision === revision, 15_000)
    expect(revisions(heard())).toEqual(range(0, revision))
  }
})

test('a second subscribe replaces the first, and unsubscribe ends it', async () => {
  const { jobId } = await api.submit(sandbox({ steps: 12, stepMs: 100 }))
  const channel = `job:${jobId}`
  const socket = await open()
  await socket.subscribe(channel)
  await waitFor('an update', () => socket.updates.length > 0)
  const before = revisions(socket.updates)
  const ack = await socket.subscribe(channel, before.at(-1))
  await waitFor('more updates', () => socket.updates.length > before.length + 2)
  const whole = [
    ...before,
    ...revisions(ack.events),
    ...revisions(socket.updates).slice(before.length),
  ]
  expect(whole).toEqual(range(before[0]!, whole.at(-1)!))

  expect(await socket.unsubscribe(channel)).toMatchObject({ ok: true })
  const silent = socket.updates.length
  await api.finished({ jobId })
  const other = await open()
  await other.subscribe(channel, -1)
  expect(socket.updates).toHaveLength(silent)
})

test('who has no token, or a wrong one, does not connect', async () => {
  const { baseUrl } = used.weir
  const token = api.token ?? ''
  const wrong = [undefined, '', 'weir_live_x_y_z', token.slice(0, -1), `${token}x`, 17, { a: 1 }]
  for (const each of wrong) expect(await refusalOf(baseUrl, each)).toBe('unauthenticated')
  expect(await refusalOf(baseUrl, `weir_client_${'x'.repeat(6_000)}`)).toBe('unauthenticated')
  expect(await refusalOf(baseUrl, used.weir.dev.adminToken)).toBe('forbidden')
})

test('channels of others, of nobody, and of no known kind are not found', async () => {
  const other = await used.newOrg()
  const { jobId } = await other.api.submit(sandbox())
  const mine = await api.run(sandbox())
  const socket = await open()
  const channels = [
    ...[`job:${jobId}`, `org:${other.orgId}`, `balance:${other.orgId}`, `job:${nobodysJob}`],
    ...['job:', 'org:', 'balance:', '', ':', 'nonsense', `job:${mine.jobId}:x`, 'job:__proto__'],
    ...['JOB:x', 'x'.repeat(500), 'job:\u0000', `admin:${org.orgId}`],
    ...[null, 17, true, [], { a: 1 }, undefined],
  ]
  for (const channel of channels) {
    const { ok, code } = await socket.subscribe(channel)
    expect({ channel, ok, code }).toEqual({ channel, ok: false, code: 'not_found' })
  }
  await other.api.finished({ jobId })
  expect(socket.updates).toEqual([])
})

test('who leaves a channel while it is being opened hears nothing of it', async () => {
  const { jobId } = await api.submit(sandbox({}, { runAt: '2099-01-01T00:00:00Z' }))
  const channel = `job:${jobId}`
  const stays = await open()
  await stays.subscribe(channel)
  const leaves = await open()
  const answers = await Promise.all([leaves.subscribe(channel), leaves.unsubscribe(channel)])
  expect(answers).toMatchObject([{ ok: true }, { ok: true }])
  expectStatus(await api.cancel(jobId), 202)
  await told(stays, channel, 'job.canceled')
  // What was told before this answer has come before it.
  await leaves.subscribe(channel)
  expect(leaves.updates).toEqual([])
})

test('nonsense instead of a request is refused, and the socket lives on', async () => {
  const { jobId } = await api.run(sandbox())
  const socket = await open()
  const { raw } = socket
  for (const request of [null, 17, 'x', [], {}, { channel: `job:${jobId}`, after: 'x' }]) {
    const ack: unknown = await raw.timeout(5_000).emitWithAck('subscribe', request)
    expect(ack).toMatchObject({ ok: false, code: expect.any(String) })
    raw.emit('unsubscribe', request)
    raw.emit('subscribe', request)
  }
  for (const after of [-2, 1.5, Number.MAX_VALUE, null]) {
    const request = { channel: `job:${jobId}`, after }
    const ack: unknown = await raw.timeout(5_000).emitWithAck('subscribe', request)
    expect(ack).toHaveProperty('ok')
  }
  raw.emit('unsubscribe')
  raw.emit('subscribe')
  raw.emit('no such event', { a: 1 })
  for (const name of ['subscribe', 'unsubscribe', 'no such event']) {
    for (const said of [[], [{}, 17]]) {
      const ack: unknown = await raw.timeout(5_000).emitWithAck(name, ...said)
      expect(ack).toMatchObject({ ok: false, code: expect.any(String) })
    }
  }
  expect(await socket.subscribe(`job:${jobId}`, -1)).toMatchObject({ ok: true })
})

test('an org channel tells of every job, a balance channel of every move', async () => {
  const socket = await open()
  expect(await socket.subscribe(`org:${org.orgId}`)).toMatchObject({ ok: true })
  expect(await socket.subscribe(`balance:${org.orgId}`)).toMatchObject({ ok: true })
  const other = await used.newOrg()
  const foreign = await other.api.submit(sandbox({ steps: 1 }))
  const jobs = await Promise.all([1, 2, 3].map(() => api.submit(sandbox({ steps: 2 }))))
  await Promise.all(jobs.map((job) => api.finished(job)))
  await other.api.finished(foreign)

  for (const { jobId } of jobs) {
    const mine = () => socket.updates.filter((update) => update.job.jobId === jobId)
    await waitFor('its end', () => mine().at(-1)?.type === 'job.succeeded')
    expect(revisions(mine())).toEqual(range(0, (await api.job(jobId)).revision))
  }
  expect(new Set(socket.updates.map(({ channel }) => channel))).toEqual(
    new Set([`org:${org.orgId}`]),
  )
  expect(socket.updates.filter(({ job }) => job.jobId === foreign.jobId)).toEqual([])
  const { balance } = await api.billed(startMicro, 6)
  await waitFor('the last balance', () => {
    const last = socket.balances.at(-1)?.balance
    return last?.posted === balance.posted && last.held === '0'
  })
  expect(socket.balances.at(-1)).toEqual({ channel: `balance:${org.orgId}`, balance })
})

test("a client token sees its user's jobs or its channels, and nothing else", async () => {
  const mine = await api.submit(sandbox({}, { userId: 'u1' }))
  const others = await api.submit(sandbox({}, { userId: 'u2' }))
  const byUser = await open(await clientToken({ userId: 'u1' }))
  const byChannel = await open(await clientToken({ channels: [`job:${others.jobId}`] }))
  const byNothing = await open(await clientToken({}))
  const channelsOf = async (socket: LiveSocket) =>
    await Promise.all(
      [`job:${mine.jobId}`, `job:${others.jobId}`, `org:${org.orgId}`, `balance:${org.orgId}`].map(
        async (channel) => (await socket.subscribe(channel)).ok,
      ),
    )
  expect(await channelsOf(byUser)).toEqual([true, false, false, false])
  expect(await channelsOf(byChannel)).toEqual([false, true, false, false])
  expect(await channelsOf(byNothing)).toEqual([false, false, false, false])
})

test('the socket of a client token ends with the token', async () => {
  const token = await clientToken({ userId: 'u1', ttlSeconds: 1 })
  const socket = await open(token)
  const openedAt = performance.now()
  expect(await socket.closed).toBe('io server disconnect')
  expect(performance.now() - openedAt).toBeLessThan(6_500)
  expect(await refusalOf(used.weir.baseUrl, token)).toBe('unauthenticated')
})

test('revoking a key closes its sockets within five seconds, and no others', async () => {
  const path = `/v1/admin/orgs/${org.orgId}/keys`
  const issued = await used.admin.post<{ keyId: string; apiKey: string }>(path, { name: 'second' })
  const { keyId, apiKey } = expectStatus(issued, 201)
  const kept = await open()
  const socket = await open(apiKey)
  const revoked = await used.admin.call('DELETE', `${path}/${keyId}`)
  expect(revoked.status).toBe(204)
  const revokedAt = performance.now()
  // A command is in force for requests that start after its answer.
  expect((await new Client(used.weir.baseUrl, apiKey).get('/v1/balance')).status).toBe(401)
  expect(await refusalOf(used.weir.baseUrl, apiKey)).toBe('unauthenticated')
  expect(await socket.closed).toBe('io server disconnect')
  expect(performance.now() - revokedAt).toBeLessThan(5_000)
  expect(kept.raw.connected).toBe(true)
})

test('a job that is queued again goes on telling, on the same subscription', async () => {
  const fail = { atStep: 2, times: 1, retryable: false }
  const job: JobView = await api.run(sandbox({ steps: 2, fail }))
  const socket = await open()
  const channel = `job:${job.jobId}`
  await socket.subscribe(channel)
  expectStatus(await api.retry(job.jobId), 202)
  await told(socket, channel, 'job.succeeded')
  const end = await api.job(job.jobId)
  expect(revisions(socket.updates)).toEqual(range(job.revision + 1, end.revision))
  expect(socket.updates[0]?.type).toBe('job.requeued')
})
