import { expect, test } from '@jest/globals'
import { apiMemory, longestWaitDuring } from '../support/api-load.ts'
import { expectStatus, sandbox, type Client } from '../support/client.ts'
import {
  openEngine,
  openPolling,
  openSession,
  type EngineSocket,
} from '../support/engine-socket.ts'
import { connect, type Ack } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

// Sockets that say too much, nothing at all, or what makes no sense.

const used = useWeir({ isOwn: true })
const limitMs = 120_000
/** What weir promises; see src/realtime/socket-limits.ts. */
const introductionMs = 10_000
const requestsAtOnceMax = 1_500
const subscriptionsMax = 1_000
const slackMs = 6_000
const waitMsMax = 3_000
/** 10,000 elsewhere: `WEIR_HOSTILE_SOCKETS=10000`. */
const openSockets = Number(process.env['WEIR_HOSTILE_SOCKETS'] ?? 1_000)
const bytesPerSocketMax = 60_000
const bytesOfTheRest = 100_000_000

async function jobsLater(api: Client, count: number): Promise<readonly string[]> {
  const runAt = new Date(Date.now() + 3_600_000).toISOString()
  const jobs = Array.from({ length: count }, () => sandbox({ steps: 1 }, { runAt }))
  const jobIds: string[] = []
  for (let at = 0; at < count; at += 500) {
    const body = { jobs: jobs.slice(at, at + 500) }
    const answer = await api.post<{ items: { job: { jobId: string } }[] }>('/v1/jobs/batch', body)
    jobIds.push(...expectStatus(answer, 200).items.map(({ job }) => job.jobId))
  }
  return jobIds
}

test(
  'a connection that does not say who it is is closed in time',
  async () => {
    const openedAt = performance.now()
    const silent = await Promise.all(
      Array.from({ length: 20 }, () => openEngine(used.weir.baseUrl)),
    )
    await Promise.all(silent.map(({ closed }) => closed))
    expect(performance.now() - openedAt).toBeGreaterThan(introductionMs - 1_000)
    expect(performance.now() - openedAt).toBeLessThan(introductionMs + slackMs)
  },
  limitMs,
)

test('a connection that is refused is told so, and closed before it can ask again', async () => {
  const openedAt = performance.now()
  const unknown = await openSession(used.weir.baseUrl, 'x')
  for (let number = 0; number < 20_000; number += 1) unknown.send('40{"token":"x"}')
  await unknown.closed
  expect(performance.now() - openedAt).toBeLessThan(introductionMs / 2)
  const refused = unknown.received.filter((text) => text.startsWith('44'))
  expect(refused[0]).toContain('"unauthenticated"')
  expect(refused.length).toBeLessThan(2_000)
})

const nonsense: readonly (readonly [what: string, data: string | Uint8Array])[] = [
  ['a frame beyond 16 KB', `42${JSON.stringify(['subscribe', { channel: 'x'.repeat(20_000) }])}`],
  ['a binary frame beyond 16 KB', new Uint8Array(20_000)],
  ['a packet of no known type', '9'],
  ['an empty packet', ''],
  ['an event that is no JSON', '42["subscribe",{'],
  ['an event that is no list', '42{"a":1}'],
  ['an event without a name', '42[]'],
  ['an event whose name is an object', '42[{"a":1}]'],
  ['an event of the protocol itself', '42["disconnect"]'],
  ['an absurd number of attachments', '451000000-["x",{"_placeholder":true,"num":0}]'],
  ['attachments of a negative number', '45-1-["x"]'],
  ['an attachment that was never announced', Uint8Array.from([1, 2, 3])],
  ['an acknowledgement of nothing', '4399999999999999999999[]'],
  ['another namespace', '40/admin,{"token":"x"}'],
  ['a second introduction', '40{"token":"x"}'],
  ['a namespace that does not end', `40/${'x'.repeat(10_000)}`],
  ['deep nesting', `42["subscribe",${'['.repeat(4_000)}${']'.repeat(4_000)}]`],
  ['a prototype', '42["subscribe",{"__proto__":{"channel":"x"},"constructor":1}]'],
]

test.each(nonsense)('%s harms nobody else', async (_what, data) => {
  const { api } = await used.newOrg()
  const other = await connect(used.weir.baseUrl, api.token)
  const bad = await openSession(used.weir.baseUrl, api.token ?? '')
  await waitFor('the hello', () => bad.received.some((text) => text.startsWith('40')))
  bad.send(data)
  const { jobId } = await api.submit(sandbox({ steps: 1 }))
  expect(await other.subscribe(`job:${jobId}`, -1)).toMatchObject({ ok: true })
  expect((await api.finished({ jobId })).status).toBe('succeeded')
  bad.close()
  other.close()
})

test(
  'who subscribes without end is refused, then cut off, and nobody waits for it',
  async () => {
    const { api } = await used.newOrg()
    const [jobId = ''] = await jobsLater(api, 1)
    const flood = await openSession(used.weir.baseUrl, api.token ?? '')
    await waitFor('the hello', () => flood.received.some((text) => text.startsWith('40')))
    const ask = (number: number): string =>
      `42${number}${JSON.stringify(['subscribe', { channel: `job:${jobId}`, after: -1 }])}`
    for (let number = 0; number < requestsAtOnceMax + 2_000; number += 1) flood.send(ask(number))
    expect(await longestWaitDuring(api, flood.closed)).toBeLessThan(waitMsMax)
    const refused = flood.received.filter((text) => text.includes('"rate_limited"'))
    expect(refused.length).toBeGreaterThan(100)
    // It may come back and behave.
    const again = await connect(used.weir.baseUrl, api.token)
    expect(await again.subscribe(`job:${jobId}`, -1)).toMatchObject({ ok: true })
    again.close()
  },
  limitMs,
)

test(
  'nothing more is read for who does not take the answers, and all of it for who does',
  async () => {
    const { api } = await used.newOrg()
    const [jobId = ''] = await jobsLater(api, 1)
    const channel = `job:${jobId}`
    const lazy = await openPolling(used.weir.baseUrl, api.token ?? '')
    const asked = Array.from({ length: 100 }, (_, number) => {
      return `42${number}${JSON.stringify(['subscribe', { channel, after: -1 }])}`
    })
    await lazy.send(asked)
    // By the time that another has had as many answers one by one, these would be there too.
    const other = await connect(used.weir.baseUrl, api.token)
    for (const _ of asked) expect(await other.subscribe(channel, -1)).toMatchObject({ ok: true })
    other.close()
    const answersOf = (packets: readonly string[]) => packets.filter((text) => /^43/.test(text))
    let answers = answersOf(await lazy.poll())
    expect(answers.length).toBeLessThanOrEqual(8)
    while (answers.length < asked.length) answers = [...answers, ...answersOf(await lazy.poll())]
    expect(new Set(answers.map((text) => /^43\d+/.exec(text)?.[0])).size).toBe(asked.length)
  },
  limitMs,
)

test(
  'a socket has at most a thousand channels, however fast it asks for more',
  async () => {
    const { api } = await used.newOrg({ credits: 100_000_000n })
    const jobIds = await jobsLater(api, subscriptionsMax + 20)
    const socket = await connect(used.weir.baseUrl, api.token)
    const asked = jobIds.map((jobId) => {
      const request = { channel: `job:${jobId}` }
      return socket.raw.timeout(60_000).emitWithAck('subscribe', request) as Promise<Ack>
    })
    const codes = (await Promise.all(asked)).map(({ ok, code }) => (ok ? 'ok' : code))
    expect(codes.filter((code) => code === 'ok')).toHaveLength(subscriptionsMax)
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(20)
    expect(await socket.unsubscribe(`job:${jobIds[0] ?? ''}`)).toMatchObject({ ok: true })
    expect(await socket.subscribe(`job:${jobIds.at(-1) ?? ''}`)).toMatchObject({ ok: true })
    socket.close()
  },
  limitMs,
)

test(
  'thousands of open sockets cost little memory, and nobody waits for them',
  async () => {
    const { api } = await used.newOrg()
    const before = apiMemory(used.weir)
    const sockets: EngineSocket[] = []
    for (let opened = 0; opened < openSockets; opened += 50) {
      const some = Array.from({ length: 50 }, () => openSession(used.weir.baseUrl, api.token ?? ''))
      sockets.push(...(await Promise.all(some)))
    }
    const areIn = (): boolean => sockets.every(({ received }) => received.length > 1)
    await waitFor('all to be taken', areIn)
    expect(apiMemory(used.weir) - before).toBeLessThan(
      openSockets * bytesPerSocketMax + bytesOfTheRest,
    )
    const work = Promise.all([1, 2, 3].map(() => api.run(sandbox({ steps: 3, stepMs: 500 }))))
    expect(await longestWaitDuring(api, work)).toBeLessThan(waitMsMax)
    expect(
      sockets.filter(({ received }) => received.some((text) => text.startsWith('44'))),
    ).toEqual([])
    for (const socket of sockets) socket.close()
    await Promise.all(sockets.map(({ closed }) => closed))
  },
  limitMs,
)
