import { describe, expect, test } from '@jest/globals'
import type { JobEvent, JobSpec } from '../../../domain/job/job-events.ts'
import type { WebhookEvent } from '../../../domain/webhook/payload.ts'
import {
  jobWebhookTable,
  webhookOutbox,
  webhookOutboxTable,
  type WebhookOutboxRow,
} from '../../../projections/webhook-outbox.ts'
import * as job from '../../support/job-history.ts'
import { ProjectedRows, Recorder } from '../../support/recorded.ts'

const { at } = job
const publicUrl = 'https://weir.test'
const url = 'https://acme.test/hook'

function submittedWith(webhook: JobSpec['webhook'], more: Partial<JobSpec> = {}): JobEvent {
  return job.submitted({ webhook, metadata: { order: 7 }, ...more })
}

async function deliveriesOf(...events: readonly JobEvent[]) {
  const recorder = new Recorder()
  const rows = new ProjectedRows(webhookOutbox(publicUrl))
  await rows.page(events.map((event) => recorder.job('j1', event)))
  return deliveries(rows)
}

function deliveries({ store }: ProjectedRows): readonly WebhookOutboxRow[] {
  return store.all(webhookOutboxTable) as unknown as readonly WebhookOutboxRow[]
}

const bodyOf = (delivery: WebhookOutboxRow | undefined): WebhookEvent =>
  JSON.parse(delivery?.body ?? 'null') as WebhookEvent

const typesOf = (rows: readonly WebhookOutboxRow[]) => rows.map(({ eventType }) => eventType)

const wholeLife: readonly JobEvent[] = [
  job.started(1),
  job.stepCompleted('s1'),
  job.retryScheduled(1),
  job.started(2),
  job.cancelRequested,
  job.failed(2),
  job.requeued(1),
  job.started(3),
  job.succeeded,
]

describe('a webhook that does not choose', () => {
  const chosen = submittedWith({ url, events: null })

  test('hears of starts and of the end', async () => {
    expect(typesOf(await deliveriesOf(chosen, ...wholeLife))).toEqual([
      'job.started',
      'job.started',
      'job.failed',
      'job.started',
      'job.succeeded',
    ])
  })

  test.each([
    ['job.canceled', job.canceled(0)],
    ['job.expired', job.expired],
  ])('hears of %s', async (type, event) => {
    expect(typesOf(await deliveriesOf(chosen, event))).toEqual([type])
  })
})

describe('a webhook that chooses', () => {
  test('hears of nothing else', async () => {
    const events = ['job.queued', 'job.step_completed', 'job.cancel_requested']
    const heard = await deliveriesOf(submittedWith({ url, events }), ...wholeLife)
    expect(typesOf(heard)).toEqual(events)
  })

  test('can hear of everything', async () => {
    const events = [
      'job.queued job.started job.step_completed job.retry_scheduled job.cancel_requested',
      'job.succeeded job.failed job.canceled job.expired job.requeued',
    ].flatMap((line) => line.split(' '))
    const heard = await deliveriesOf(submittedWith({ url, events }), ...wholeLife)
    expect(heard).toHaveLength(1 + wholeLife.length)
    expect(typesOf(heard).filter((type) => type === 'job.requeued')).toHaveLength(1)
  })

  test('can hear of nothing', async () => {
    expect(await deliveriesOf(submittedWith({ url, events: [] }), ...wholeLife)).toEqual([])
  })
})

test('a job without a webhook leaves no rows', async () => {
  const recorder = new Recorder()
  const rows = new ProjectedRows(webhookOutbox(publicUrl))
  const events = [submittedWith(null), ...wholeLife].map((event) => recorder.job('j1', event))
  await rows.page(events)
  expect(deliveries(rows)).toEqual([])
  expect(rows.store.all(jobWebhookTable)).toEqual([])
})

describe('a delivery', () => {
  const all = submittedWith({ url, events: ['job.queued', 'job.started', 'job.step_completed'] })

  test('tells how far the job had come, also when it ends in a later page', async () => {
    const recorder = new Recorder()
    const rows = new ProjectedRows(webhookOutbox(publicUrl))
    const failed = submittedWith({ url, events: ['job.failed'] })
    const half = job.stepCompleted('s1')
    for (const event of [failed, job.started(1), half, job.started(2), job.failed(2)]) {
      await rows.page([recorder.job('j1', event)])
    }
    const [delivery] = deliveries(rows)
    expect(bodyOf(delivery)).toMatchObject({ data: { progress: 50, sequence: 4 } })
  })

  test('goes to the URL of the job, at once, under the id of its event', async () => {
    const recorder = new Recorder()
    const rows = new ProjectedRows(webhookOutbox(publicUrl))
    const [submitted, started] = [all, job.started(1)].map((event) => recorder.job('j1', event))
    await rows.page([submitted!, started!])
    const times = (time: string) => ({ nextAttemptAt: time, createdAt: time, updatedAt: time })
    expect(deliveries(rows)).toEqual([
      {
        ...{ deliveryId: submitted!.id, orgId: 'acme', jobId: 'j1', url, eventType: 'job.queued' },
        ...{ endpointId: null, sequence: 0, body: expect.any(String), ...times(at(1)) },
      },
      {
        ...{ deliveryId: started!.id, orgId: 'acme', jobId: 'j1', url, eventType: 'job.started' },
        ...{ endpointId: null, sequence: 1, body: expect.any(String), ...times(at(2)) },
      },
    ])
  })

  test('has the body of the contract', async () => {
    const heard = await deliveriesOf(all, job.started(1), job.stepCompleted('s1'))
    expect(bodyOf(heard[2])).toEqual({
      type: 'job.step_completed',
      timestamp: at(3),
      data: {
        ...{ jobId: 'j1', type: 'image.upscale', status: 'running', progress: 50, sequence: 2 },
        ...{ resultUrl: null, error: null, userId: 'u1', metadata: { order: 7 } },
      },
    })
  })

  test('of a success names the result, of a failure the error', async () => {
    const chosen = submittedWith({ url, events: null })
    const success = await deliveriesOf(chosen, job.started(1), job.succeeded)
    expect(bodyOf(success.at(-1)).data).toMatchObject({
      ...{ status: 'succeeded', progress: 100, error: null },
      resultUrl: 'https://weir.test/v1/jobs/j1/result',
    })
    const failure = await deliveriesOf(chosen, job.started(1), job.failed(1))
    expect(bodyOf(failure.at(-1)).data).toMatchObject({
      ...{ status: 'failed', error: job.fatal, resultUrl: null },
    })
  })

  test('of a retry tells what went wrong, the next one does not', async () => {
    const events = ['job.retry_scheduled', 'job.started']
    const heard = await deliveriesOf(submittedWith({ url, events }), ...wholeLife)
    const told = heard.map((each) => [each.eventType, bodyOf(each).data.error?.code ?? null])
    expect(told.slice(0, 3)).toEqual([
      ['job.started', null],
      ['job.retry_scheduled', 'provider_down'],
      ['job.started', null],
    ])
  })

  test('is made once, however often its event is seen', async () => {
    const recorder = new Recorder()
    const life = [submittedWith({ url, events: null }), ...wholeLife]
    const events = life.map((event) => recorder.job('j1', event))
    const once = await new ProjectedRows(webhookOutbox(publicUrl)).pages(events)
    const twice = await new ProjectedRows(webhookOutbox(publicUrl)).pages(
      events.flatMap((event) => [event, event]),
      ...events.map((event) => [event]),
    )
    expect(twice.everything()).toEqual(once.everything())
    expect(new Set(deliveries(once).map(({ deliveryId }) => deliveryId)).size).toBe(5)
  })
})
