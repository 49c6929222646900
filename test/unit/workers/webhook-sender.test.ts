import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { NewDelivery } from '../../../domain/ports/delivery-store.ts'
import { EngineUnavailable } from '../../../domain/ports/engine-unavailable.ts'
import type { WebhookAnswer, WebhookTransport } from '../../../domain/ports/webhook-transport.ts'
import { MemoryDeliveryStore } from '../../../infra/memory/delivery-store.ts'
import {
  MemoryWebhookTransport,
  type SentWebhook,
} from '../../../infra/memory/webhook-transport.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import type { DisableEndpoint } from '../../../workers/disable-endpoint.ts'
import { WebhookSender, type SenderReport } from '../../../workers/webhook-sender.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
// Without jitter: the middle of the range.
const ids = { random01: () => 0.5 }
const answered = (httpStatus: number, retryAfter: string | null = null): WebhookAnswer => ({
  kind: 'answered',
  httpStatus,
  retryAfter,
})

let clock: SimulatedClock
let store: MemoryDeliveryStore
let reports: SenderReport[]
let disabled: Parameters<DisableEndpoint>[0][]
let senders: WebhookSender[]
let count = 0

beforeEach(() => {
  clock = new SimulatedClock()
  store = new MemoryDeliveryStore(clock)
  reports = []
  disabled = []
  senders = []
})

afterEach(async () => {
  await Promise.all(senders.map((sender) => sender.stop(AbortSignal.abort())))
})

function startSender(transport: WebhookTransport, to = store): WebhookSender {
  const report = (each: SenderReport) => reports.push(each)
  const disable: DisableEndpoint = async (answered) => void disabled.push(answered)
  const sender = new WebhookSender({ store: to, transport, clock, ids, disable, report })
  senders.push(sender)
  sender.start()
  return sender
}

function newDelivery(change: Partial<NewDelivery> = {}): NewDelivery {
  count += 1
  return {
    deliveryId: `delivery-${count}`,
    orgId: 'org-1',
    jobId: 'job-1',
    endpointId: null,
    url: 'https://hooks.example.com/weir',
    eventType: 'job.succeeded',
    sequence: 3,
    body: '{}',
    nowMs: clock.now(),
    ...change,
  }
}

const deliveries = (length: number, host: string, orgId = 'org-1') =>
  Array.from({ length }, () => newDelivery({ url: `https://${host}.example.com/`, orgId }))

/** A receiver that answers when it is told to. */
function patientReceiver() {
  const waiting: { readonly sent: SentWebhook; readonly answer: (status: number) => void }[] = []
  const transport = new MemoryWebhookTransport(
    (sent) =>
      new Promise((resolve) => {
        waiting.push({ sent, answer: (status) => resolve(answered(status)) })
      }),
  )
  const answerAll = async (status: number) => {
    for (const { answer } of waiting.splice(0)) answer(status)
    await clock.advance(0)
  }
  const hosts = () => waiting.map(({ sent }) => sent.delivery.host)
  return { transport, waiting, answerAll, hosts }
}

test('sends what is due and reports it', async () => {
  const transport = new MemoryWebhookTransport(() => answered(204))
  const delivery = newDelivery()
  await store.enqueue([delivery])
  startSender(transport)
  await clock.advance(0)
  expect(transport.sent).toHaveLength(1)
  expect(await store.find(delivery.deliveryId)).toMatchObject({ status: 'delivered', attempt: 1 })
  expect(reports).toEqual([
    {
      type: 'attempt',
      outcome: 'delivered',
      deliveryId: delivery.deliveryId,
      orgId: 'org-1',
      jobId: 'job-1',
      eventType: 'job.succeeded',
      attempt: 1,
      httpStatus: 204,
      error: null,
      durationMs: 0,
    },
  ])
  await clock.advance(minuteMs)
  expect(transport.sent).toHaveLength(1)
})

test('tries by the schedule with the same id, also across restarts, then parks', async () => {
  const transport = new MemoryWebhookTransport(() => answered(500))
  const delivery = newDelivery()
  await store.enqueue([delivery])
  const hours = [2, 5, 10, 14, 20, 24].map((each) => each * hourMs)
  const scheduleMs = [0, 5 * secondMs, 5 * minuteMs, 30 * minuteMs, ...hours]
  // Nobody polls while time goes by, which lets three days pass in an instant.
  const pollOnce = async () => {
    const sender = startSender(transport)
    await clock.advance(0)
    await sender.stop(new AbortController().signal)
  }
  for (const [index, delayMs] of scheduleMs.entries()) {
    if (delayMs > 0) {
      await clock.advance(delayMs - 1)
      await pollOnce()
      expect(transport.sent).toHaveLength(index)
      await clock.advance(1)
    }
    await pollOnce()
    expect(transport.sent).toHaveLength(index + 1)
  }
  await clock.advance(48 * hourMs)
  await pollOnce()
  const sentIds = transport.sent.map((sent) => sent.delivery.deliveryId)
  expect(sentIds).toEqual(Array.from({ length: 10 }, () => delivery.deliveryId))
  expect(await store.find(delivery.deliveryId)).toMatchObject({
    status: 'parked',
    attempt: 10,
    lastStatus: 500,
    lastError: 'http_500',
  })
})

test('the time to the next attempt counts from the answer to the last one', async () => {
  const { transport, answerAll } = patientReceiver()
  const delivery = newDelivery()
  await store.enqueue([delivery])
  startSender(transport)
  await clock.advance(10 * secondMs)
  const answeredAt = clock.now()
  await answerAll(500)
  const { nextAttemptAtMs } = (await store.find(delivery.deliveryId)) ?? { nextAttemptAtMs: 0 }
  expect(nextAttemptAtMs - answeredAt).toBe(5 * secondMs)
})

test('410 parks at the first attempt', async () => {
  const transport = new MemoryWebhookTransport(() => answered(410))
  const delivery = newDelivery()
  await store.enqueue([delivery])
  startSender(transport)
  await clock.advance(minuteMs)
  expect(transport.sent).toHaveLength(1)
  expect(await store.find(delivery.deliveryId)).toMatchObject({ status: 'parked', attempt: 1 })
  expect(reports).toMatchObject([{ outcome: 'parked', httpStatus: 410 }])
})

test('a redirect is a failure like any other', async () => {
  const transport = new MemoryWebhookTransport(({ delivery }) =>
    answered(delivery.attempt === 0 ? 302 : 200),
  )
  await store.enqueue([newDelivery()])
  startSender(transport)
  await clock.advance(6 * secondMs)
  expect(reports).toMatchObject([
    { outcome: 'retry', error: 'http_302', attempt: 1 },
    { outcome: 'delivered', error: null, attempt: 2 },
  ])
})

test('Retry-After is waited for', async () => {
  const transport = new MemoryWebhookTransport(({ delivery }) =>
    delivery.attempt === 0 ? answered(429, '90') : answered(200),
  )
  await store.enqueue([newDelivery()])
  startSender(transport)
  await clock.advance(89 * secondMs)
  expect(transport.sent).toHaveLength(1)
  await clock.advance(2 * secondMs)
  expect(transport.sent).toHaveLength(2)
})

test('an attempt that got no answer is tried again', async () => {
  const failed: WebhookAnswer = { kind: 'failed', error: 'forbidden_address' }
  const transport = new MemoryWebhookTransport(() => failed)
  await store.enqueue([newDelivery()])
  startSender(transport)
  await clock.advance(6 * secondMs)
  expect(reports).toMatchObject([
    { outcome: 'retry', httpStatus: null, error: 'forbidden_address' },
    { outcome: 'retry', httpStatus: null, error: 'forbidden_address' },
  ])
})

test('sends at most 5 to a host at once, and goes on as they are answered', async () => {
  const { transport, answerAll, hosts } = patientReceiver()
  await store.enqueue([...deliveries(12, 'slow'), ...deliveries(2, 'quick')])
  startSender(transport)
  await clock.advance(0)
  expect(hosts().filter((host) => host === 'slow.example.com')).toHaveLength(5)
  expect(hosts().filter((host) => host === 'quick.example.com')).toHaveLength(2)
  await answerAll(200)
  expect(hosts()).toHaveLength(5)
  await answerAll(200)
  expect(hosts()).toHaveLength(2)
  await answerAll(200)
  expect(reports.map((report) => report.type)).toEqual(Array.from({ length: 14 }, () => 'attempt'))
})

test('sends at most 50 at once, and 40 of one org', async () => {
  const { transport, waiting, answerAll } = patientReceiver()
  const all = Array.from({ length: 30 }, (_, n) => deliveries(2, `host-${n}`)).flat()
  await store.enqueue(all)
  startSender(transport)
  await clock.advance(5 * secondMs)
  expect(waiting).toHaveLength(40)
  await store.enqueue(Array.from({ length: 12 }, (_, n) => deliveries(1, `o-${n}`, 'org-2')).flat())
  await clock.advance(5 * secondMs)
  expect(waiting).toHaveLength(50)
  await answerAll(200)
  expect(waiting).toHaveLength(22)
  await answerAll(200)
  expect(reports).toHaveLength(72)
})

test('wakes up when it is told that something is due', async () => {
  const transport = new MemoryWebhookTransport(() => answered(200))
  const sender = startSender(transport)
  await clock.advance(0)
  await store.enqueue([newDelivery()])
  sender.wake()
  await clock.advance(0)
  expect(transport.sent).toHaveLength(1)
})

test('stopping waits for the attempts under way and starts no other', async () => {
  const { transport, waiting, answerAll } = patientReceiver()
  const first = newDelivery()
  await store.enqueue([first])
  const sender = startSender(transport)
  await clock.advance(0)
  let isStopped = false
  const stopped = sender.stop(new AbortController().signal).then(() => (isStopped = true))
  await store.enqueue([newDelivery()])
  await clock.advance(secondMs)
  expect(isStopped).toBe(false)
  expect(waiting).toHaveLength(1)
  await answerAll(200)
  await stopped
  expect(transport.sent).toHaveLength(1)
  expect(await store.find(first.deliveryId)).toMatchObject({ status: 'delivered' })
})

test('stopping in a hurry gives the attempts under way back, uncounted', async () => {
  const { transport } = patientReceiver()
  const delivery = newDelivery()
  await store.enqueue([delivery])
  const sender = startSender(transport)
  await clock.advance(0)
  const hurry = new AbortController()
  const stopped = sender.stop(hurry.signal)
  hurry.abort()
  await stopped
  expect(await store.find(delivery.deliveryId)).toMatchObject({
    status: 'pending',
    attempt: 0,
    lockedUntilMs: null,
  })
  expect(reports).toEqual([])
  startSender(new MemoryWebhookTransport(() => answered(200)))
  await clock.advance(0)
  expect(await store.find(delivery.deliveryId)).toMatchObject({ status: 'delivered' })
})

test('another sender takes over from one that hangs, with the same id', async () => {
  const stuck = patientReceiver()
  const delivery = newDelivery()
  await store.enqueue([delivery])
  const hanging = startSender(stuck.transport)
  await clock.advance(0)
  const stopped = hanging.stop(new AbortController().signal)
  const healthy = new MemoryWebhookTransport(() => answered(200))
  startSender(healthy)
  await clock.advance(19 * secondMs)
  expect(healthy.sent).toHaveLength(0)
  await clock.advance(2 * secondMs)
  const sentIds = [...stuck.transport.sent, ...healthy.sent].map((sent) => sent.delivery.deliveryId)
  expect([...new Set(sentIds)]).toEqual([delivery.deliveryId])
  await stuck.answerAll(500)
  expect(await store.find(delivery.deliveryId)).toMatchObject({ status: 'delivered', attempt: 1 })
  expect(reports).toContainEqual({ type: 'claim_lost', deliveryId: delivery.deliveryId })
  await stopped
})

test('a transport that throws costs an attempt and harms no other delivery', async () => {
  const transport = new MemoryWebhookTransport(({ delivery }) => {
    if (delivery.orgId === 'broken') throw new Error('no secret')
    return answered(200)
  })
  const broken = newDelivery({ orgId: 'broken' })
  const fine = newDelivery()
  await store.enqueue([broken, fine])
  startSender(transport)
  await clock.advance(0)
  expect(await store.find(fine.deliveryId)).toMatchObject({ status: 'delivered' })
  expect(await store.find(broken.deliveryId)).toMatchObject({
    status: 'pending',
    attempt: 1,
    lastError: 'internal',
  })
  expect(reports).toContainEqual({
    type: 'transport_failed',
    deliveryId: broken.deliveryId,
    error: new Error('no secret'),
  })
})

test('a log that is away costs no attempt: what needs it is sent when the claim ends', async () => {
  let isAway = true
  const transport = new MemoryWebhookTransport(() => {
    if (isAway) throw new EngineUnavailable('the log does not answer')
    return answered(200)
  })
  const delivery = newDelivery({ endpointId: 'endpoint-1' })
  await store.enqueue([delivery])
  startSender(transport)
  await clock.advance(50 * secondMs)
  expect(await store.find(delivery.deliveryId)).toMatchObject({ status: 'pending', attempt: 0 })
  expect(reports.map(({ type }) => type)).toEqual(Array(3).fill('store_failed'))
  isAway = false
  await clock.advance(25 * secondMs)
  expect(await store.find(delivery.deliveryId)).toMatchObject({ status: 'delivered', attempt: 1 })
})

/** Fails as often as it is told to. */
class UnsteadyStore extends MemoryDeliveryStore {
  claimFailures = 0
  finishFailures = 0

  override async claimDue(...given: Parameters<MemoryDeliveryStore['claimDue']>) {
    if (this.claimFailures-- > 0) throw new Error('no connection')
    return await super.claimDue(...given)
  }

  override async finish(...given: Parameters<MemoryDeliveryStore['finish']>) {
    if (this.finishFailures-- > 0) throw new Error('no connection')
    return await super.finish(...given)
  }
}

test('a store that cannot be reached is asked again', async () => {
  const unsteady = new UnsteadyStore(clock)
  unsteady.claimFailures = 3
  const delivery = newDelivery()
  await unsteady.enqueue([delivery])
  startSender(new MemoryWebhookTransport(() => answered(200)), unsteady)
  await clock.advance(2 * secondMs)
  expect(await unsteady.find(delivery.deliveryId)).toMatchObject({ status: 'delivered' })
  expect(reports.filter(({ type }) => type === 'store_failed')).toHaveLength(3)
})

test('an outcome that could not be written is sent again when the claim ends', async () => {
  const unsteady = new UnsteadyStore(clock)
  unsteady.finishFailures = 1
  const delivery = newDelivery()
  await unsteady.enqueue([delivery])
  const transport = new MemoryWebhookTransport(() => answered(200))
  startSender(transport, unsteady)
  await clock.advance(61 * secondMs)
  expect(transport.sent).toHaveLength(2)
  expect(await unsteady.find(delivery.deliveryId)).toMatchObject({ status: 'delivered' })
})

test('an endpoint that answers 410 is disabled, a webhook of a job is only parked', async () => {
  const transport = new MemoryWebhookTransport(() => answered(410))
  const [ofJob, ofEndpoint] = [newDelivery(), newDelivery({ endpointId: 'e1' })]
  await store.enqueue([ofJob, ofEndpoint])
  startSender(transport)
  await clock.advance(0)
  const { deliveryId } = ofEndpoint
  expect(disabled).toEqual([{ orgId: 'org-1', endpointId: 'e1', deliveryId }])
  expect(await store.find(ofJob.deliveryId)).toMatchObject({ status: 'parked' })
  expect(await store.find(deliveryId)).toMatchObject({ status: 'parked', lastError: 'http_410' })
})

test('an endpoint that fails otherwise stays enabled', async () => {
  const transport = new MemoryWebhookTransport(() => answered(500))
  await store.enqueue([newDelivery({ endpointId: 'e1' })])
  startSender(transport)
  await clock.advance(0)
  expect(transport.sent).toHaveLength(1)
  expect(disabled).toEqual([])
})

test('what was withdrawn is parked at once', async () => {
  const transport = new MemoryWebhookTransport(() => ({ kind: 'withdrawn', error: 'removed' }))
  const delivery = newDelivery({ endpointId: 'e1' })
  await store.enqueue([delivery])
  startSender(transport)
  await clock.advance(0)
  const parked = { status: 'parked', attempt: 1, lastStatus: null, lastError: 'removed' }
  expect(await store.find(delivery.deliveryId)).toMatchObject(parked)
  expect(disabled).toEqual([])
})
