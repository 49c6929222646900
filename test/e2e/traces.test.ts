import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { newOrg, sandbox, Client } from '../support/client.ts'
import { receiveTraces, type OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts'
import { waitFor } from '../support/wait-for.ts'
import { receiveWebhooks, type WebhookReceiver } from '../support/webhook-receiver.ts'
import { startWeir, type Weir } from '../support/weir.ts'

const limitMs = 60_000
const secretInput = 'what-the-customer-wants-to-keep'

let collector: OtlpReceiver
let receiver: WebhookReceiver
let weir: Weir

beforeAll(async () => {
  collector = await receiveTraces()
  receiver = await receiveWebhooks()
  weir = await startWeir({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint } })
}, limitMs)

afterAll(async () => {
  await weir.stop()
  await receiver.close()
  await collector.close()
}, limitMs)

test('one job is one trace, from the request to the receiver of its webhook', async () => {
  const { api } = await newOrg(new Client(weir.baseUrl, weir.dev.adminToken))
  const traceId = 'abcdef0123456789abcdef0123456789'
  const caller = '1234567890abcdef'
  const { jobId } = await api.submit(
    sandbox(
      { steps: 1 },
      {
        webhook: { url: receiver.url, events: ['job.succeeded'] },
        metadata: { note: secretInput },
      },
    ),
    { traceparent: `00-${traceId}-${caller}-01` },
  )
  await api.finished({ jobId })
  await waitFor('the webhook', () => receiver.received.length > 0, limitMs)
  const expected = [
    ...['POST /v1/jobs', 'append', 'process weir.jobs', 'call sandbox', 'store result'],
    ...['settle', 'deliver webhook'],
  ]
  const ofTrace = (): ReceivedSpan[] => collector.spans.filter((span) => span.traceId === traceId)
  const isThere = (): boolean =>
    expected.every((name) => ofTrace().some((span) => span.name === name))
  await waitFor('every span of the job', isThere, 15_000).catch(() => undefined)
  const spans = ofTrace()
  expect([...new Set(spans.map(({ name }) => name))].sort()).toEqual([...expected].sort())

  const find = (name: string): ReceivedSpan => spans.find((span) => span.name === name)!
  const request = find('POST /v1/jobs')
  const attempt = find('process weir.jobs')
  expect(request).toMatchObject({ service: 'weir-api', kind: 2, parentSpanId: caller })
  expect(attempt).toMatchObject({ service: 'weir-worker', parentSpanId: request.spanId })
  for (const name of ['call sandbox', 'store result']) {
    expect(find(name).parentSpanId).toBe(attempt.spanId)
  }
  expect(find('settle').parentSpanId).toBe(request.spanId)

  const delivery = find('deliver webhook')
  expect(delivery).toMatchObject({ service: 'weir-projector', parentSpanId: request.spanId })
  const told = receiver.received.at(-1)?.headers['traceparent']
  expect(told).toBe(`00-${traceId}-${delivery.spanId}-01`)
  expect(collector.bodies.join()).not.toContain(secretInput)
})
