import { describe, expect, test } from '@jest/globals'
import type { AccountCommand } from '../../../domain/account/account-commands.ts'
import type { Recorded } from '../../../domain/catalog.ts'
import type { JobEvent, JobSpec } from '../../../domain/job/job-events.ts'
import type { WebhookEvent } from '../../../domain/webhook/payload.ts'
import { jobStatus } from '../../../projections/job-status.ts'
import { applyPage } from '../../../projections/page.ts'
import {
  jobWebhookTable,
  webhookEndpointTable,
  webhookOutbox,
  webhookOutboxTable,
  type WebhookOutboxRow,
} from '../../../projections/webhook-outbox.ts'
import * as a from '../../support/account-history.ts'
import * as job from '../../support/job-history.ts'
import { noAlarm, ProjectedRows, Recorder } from '../../support/recorded.ts'

const allTypes = ['job.queued', 'job.started', 'job.step_completed', 'job.succeeded']

/** The read models as the projector runs them, and one log. */
function world() {
  const recorder = new Recorder()
  const rows = new ProjectedRows(jobStatus(noAlarm), webhookOutbox('https://weir.test'))
  return {
    rows,
    /** The account's events; `orgId` has nothing to do with what they say. */
    account: (commands: readonly AccountCommand[], orgId = 'acme') =>
      a.historyOf(a.openAccount(), ...commands).map((event) => recorder.account(event, orgId)),
    job: (event: JobEvent, jobId = 'j1', orgId = 'acme') => recorder.job(jobId, event, orgId),
    deliveries: () => rows.store.all(webhookOutboxTable) as unknown as readonly WebhookOutboxRow[],
    endpoints: () => rows.store.all(webhookEndpointTable),
  }
}

const told = (rows: readonly WebhookOutboxRow[]) =>
  rows.map(({ endpointId, eventType }) => `${endpointId ?? 'own'} ${eventType}`)

const submitted = (webhook: JobSpec['webhook'] = null): JobEvent =>
  job.submitted({ webhook, metadata: { order: 7 } })

describe('a registered endpoint', () => {
  test('hears of jobs without a webhook what a webhook hears that does not choose', async () => {
    const { rows, account, job: event, deliveries } = world()
    await rows.page(account([a.registerEndpoint('e1')]))
    await rows.page([event(submitted()), event(job.started(1)), event(job.stepCompleted('s1'))])
    await rows.page([event(job.succeeded)])
    expect(told(deliveries())).toEqual(['e1 job.started', 'e1 job.succeeded'])
    expect(rows.store.all(jobWebhookTable)).toEqual([])
  })

  test('hears of jobs whose status another page has brought', async () => {
    const { rows, account, job: event, deliveries } = world()
    const begun = [event(submitted()), event(job.started(1))]
    await rows.page([...account([a.registerEndpoint('e1')]), ...begun])
    // The deliveries alone are carried on, as when they are behind.
    const outbox = webhookOutbox('https://weir.test')
    const page = await applyPage([outbox], [event(job.succeeded)], rows.store, 'live')
    await rows.store.commit([], page.changes(), 'live')
    expect(told(deliveries())).toEqual(['e1 job.started', 'e1 job.succeeded'])
  })

  test('gets deliveries with ids of their own, and a body as the webhook of the job', async () => {
    const { rows, account, job: event, deliveries } = world()
    const own = { url: 'https://own.test/hook', events: allTypes }
    const endpoint = a.registerEndpoint('e1', { events: allTypes })
    const life = [submitted(own), job.started(1), job.stepCompleted('s1'), job.succeeded]
    const events = life.map((each) => event(each))
    await rows.page([...account([endpoint]), ...events])
    const all = deliveries()
    const owned = all.filter(({ endpointId }) => endpointId === null)
    const registered = all.filter(({ endpointId }) => endpointId === 'e1')
    expect(owned.map(({ deliveryId }) => deliveryId)).toEqual(events.map(({ id }) => id))
    expect(registered.map(({ deliveryId }) => deliveryId)).toEqual(
      events.map(({ id }) => `${id}.e1`),
    )
    expect(registered.map(({ url }) => url)).toEqual(allTypes.map(() => endpoint.url))
    expect(registered.map(({ body }) => body)).toEqual(owned.map(({ body }) => body))
  })

  test('tells of a job without a webhook what it would tell of one with', async () => {
    const { rows, account, job: event, deliveries } = world()
    await rows.page(account([a.registerEndpoint('e1', { events: allTypes })]))
    for (const each of [submitted(), job.started(1), job.stepCompleted('s1')]) {
      await rows.page([event(each)])
    }
    expect(JSON.parse(deliveries().at(-1)?.body ?? 'null') as WebhookEvent).toEqual({
      type: 'job.step_completed',
      timestamp: expect.any(String),
      data: {
        ...{ jobId: 'j1', type: 'image.upscale', status: 'running', progress: 50, sequence: 2 },
        ...{ resultUrl: null, error: null, userId: 'u1', metadata: { order: 7 } },
      },
    })
  })

  test('hears of what comes after it only, also of jobs that had begun', async () => {
    const { rows, account, job: event, deliveries } = world()
    await rows.page([event(submitted()), event(job.started(1))])
    await rows.page([...account([a.registerEndpoint('e1')]), event(job.succeeded)])
    expect(told(deliveries())).toEqual(['e1 job.succeeded'])
    expect(JSON.parse(deliveries()[0]?.body ?? 'null')).toMatchObject({
      data: { status: 'succeeded', progress: 100, metadata: { order: 7 }, sequence: 2 },
    })
  })

  test.each([
    ['removed', a.removeEndpoint('e1')],
    ['disabled', a.disableEndpoint('e1')],
  ])('that was %s hears of nothing new', async (_, command) => {
    const { rows, account, job: event, deliveries } = world()
    const both = [a.registerEndpoint('e1'), a.registerEndpoint('e2')]
    const [opened, e1, e2, gone] = account([...both, command])
    await rows.page([opened!, e1!, e2!, event(submitted()), event(job.started(1))])
    await rows.page([gone!, event(job.succeeded)])
    expect(told(deliveries())).toEqual(['e1 job.started', 'e2 job.started', 'e2 job.succeeded'])
  })

  test('that was enabled again hears of what comes then', async () => {
    const { rows, account, job: event, deliveries } = world()
    const all = [a.registerEndpoint('e1'), a.disableEndpoint('e1'), a.enableEndpoint('e1')]
    const [opened, registered, disabled, enabled] = account(all)
    await rows.page([opened!, registered!, disabled!, event(submitted()), event(job.started(1))])
    await rows.page([enabled!, enabled!, event(job.succeeded)])
    expect(told(deliveries())).toEqual(['e1 job.succeeded'])
  })

  test('hears of no other org', async () => {
    const { rows, account, job: event, deliveries } = world()
    const mine = account([a.registerEndpoint('e1', { events: allTypes })])
    const other = account([a.registerEndpoint('e2', { events: allTypes })], 'other')
    await rows.page([...mine, ...other, event(submitted(), 'j1', 'acme')])
    await rows.page([event(submitted(), 'j2', 'other')])
    expect(deliveries().map(({ orgId, endpointId }) => [orgId, endpointId])).toEqual([
      ['acme', 'e1'],
      ['other', 'e2'],
    ])
  })

  test('can ask for types that no job has', async () => {
    const { rows, account, job: event, deliveries } = world()
    await rows.page(account([a.registerEndpoint('e1', { events: ['balance.low'] })]))
    await rows.page([event(submitted()), event(job.started(1)), event(job.succeeded)])
    expect(deliveries()).toEqual([])
  })
})

describe('an alert', () => {
  const moneyOnly = a.registerEndpoint('e1', { events: ['balance.low'] })
  const both = a.registerEndpoint('e2', { events: ['balance.low', 'limit.reached'] })
  const silent = a.registerEndpoint('e3')
  const limits = a.setLimits([
    a.limit({ kind: 'spend', window: 'day', max: 100 }),
    a.limit({ kind: 'units', window: 'month', unit: 'megapixels', max: 20 }),
  ])
  const commands = [
    ...[moneyOnly, both, silent, a.grant('g1', 100n), a.setLimits([]), a.hold('h1', 60n)],
    ...[a.use('u1', 'h1', 55n), limits],
  ]

  test('goes to the endpoints that ask for it, under the id of its event', async () => {
    const { rows, account, deliveries } = world()
    const events = account(commands)
    await rows.page(events)
    expect(told(deliveries())).toEqual([
      ...['e1 balance.low', 'e2 balance.low'],
      ...['e1 balance.low', 'e2 balance.low'],
      'e2 limit.reached',
    ])
    const ids = events.filter(a.isAlert).map(({ id }) => id)
    expect(deliveries().map(({ deliveryId }) => deliveryId)).toEqual([
      ...[`${ids[0]}.e1`, `${ids[0]}.e2`, `${ids[1]}.e1`, `${ids[1]}.e2`, `${ids[2]}.e2`],
    ])
    expect(new Set(deliveries().map(({ jobId }) => jobId))).toEqual(new Set([null]))
  })

  test('says what is used of what, and where the money stands', async () => {
    const { rows, account, deliveries } = world()
    await rows.page(account(commands))
    const [, low, , spent, units] = deliveries().map(({ body }) => JSON.parse(body) as unknown)
    const money = { posted: '45', held: '5', overdraft: '0', available: '40' }
    expect(low).toEqual({
      type: 'balance.low',
      timestamp: job.at(3),
      data: {
        ...{ orgId: 'acme', percent: 50, granted: '100', ...money, limit: null },
        sequence: expect.any(Number),
      },
    })
    expect(spent).toMatchObject({
      type: 'balance.low',
      data: { percent: 50, granted: null, ...money, limit: { kind: 'spend', used: '60' } },
    })
    expect(units).toEqual({
      type: 'limit.reached',
      timestamp: job.at(1),
      data: {
        ...{ orgId: 'acme', percent: 50, sequence: expect.any(Number) },
        limit: {
          ...{ scope: 'org', key: null, kind: 'units', window: 'month', unit: 'megapixels' },
          ...{ max: 20, used: '12' },
          ...{ windowStart: '2026-01-01T00:00:00.000Z', resetAt: '2026-02-01T00:00:00.000Z' },
        },
      },
    })
  })

  test('may be seen twice', async () => {
    const { rows, account, deliveries } = world()
    const events = account(commands)
    await rows.pages(...events.map((each) => [each, each]))
    const once = rows.everything()
    await rows.pages(...events.map((each) => [each]))
    expect(rows.everything()).toEqual(once)
    expect(deliveries()).toHaveLength(5)
  })
})

test('an org without endpoints has no row', async () => {
  const { rows, account, endpoints } = world()
  await rows.page(account([a.issueKey('k1'), a.grant('g1', 10n), a.hold('h1', 5n)]))
  expect(endpoints()).toEqual([])
})

test('every event may be seen twice', async () => {
  const { rows, account, job: event, deliveries } = world()
  const commands = [a.registerEndpoint('e1'), a.registerEndpoint('e2'), a.removeEndpoint('e1')]
  const life = [submitted(), job.started(1), job.stepCompleted('s1'), job.failed(1)]
  const events: Recorded[] = [...account(commands), ...life.map((each) => event(each))]
  await rows.pages(...events.map((each) => [each, each]))
  const once = rows.everything()
  await rows.pages(...events.map((each) => [each]))
  expect(rows.everything()).toEqual(once)
  expect(told(deliveries())).toEqual(['e2 job.started', 'e2 job.failed'])
})
