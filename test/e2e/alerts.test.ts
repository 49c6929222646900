import { afterEach, expect, test } from '@jest/globals'
import type { BalanceLowData, LimitReachedData } from '../../domain/webhook/alert-payload.ts'
import type { WebhookDeliveryView } from '../../src/queries/list-webhook-deliveries.ts'
import { expectStatus, sandbox, type Org } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'
import { expectedSignature, receiveWebhooks } from '../support/webhook-receiver.ts'
import type { Received, WebhookReceiver } from '../support/webhook-receiver.ts'

// A call of the sandbox costs 10,000 micro-credits and counts as one request.

const used = useWeir()
const receivers: WebhookReceiver[] = []

afterEach(async () => {
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()))
})

/** An org whose endpoint hears of alerts, and of nothing else. */
async function listening(credits: bigint) {
  const org = await used.newOrg({ credits })
  const hook = await receiveWebhooks()
  receivers.push(hook)
  const body = { url: hook.url, events: ['balance.low', 'limit.reached'] }
  const answer = await org.api.post<{ secret: string }>('/v1/webhook-endpoints', body)
  const { secret } = expectStatus(answer, 201)
  const heard = async (count: number): Promise<readonly Received[]> => {
    await waitFor(`${count} alerts`, () => hook.received.length >= count)
    // Deliveries may overtake each other; `sequence` tells their order.
    return hook.received.toSorted((a, b) => a.body.data.sequence - b.body.data.sequence)
  }
  return { ...org, hook, secret, heard }
}

const run = async ({ api }: Org, steps: number) => await api.run(sandbox({ steps, stepMs: 0 }))

const balanceOf = ({ body }: Received) => body.data as unknown as BalanceLowData
const limitOf = ({ body }: Received) => body.data as unknown as LimitReachedData

async function grant({ orgId }: Org, amount: string): Promise<void> {
  const body = { amount, kind: 'purchase', reason: 'bought' }
  expectStatus(await used.admin.post(`/v1/admin/orgs/${orgId}/grants`, body), 201)
}

async function setLimits({ orgId }: Org, ...limits: readonly object[]): Promise<void> {
  const path = `/v1/admin/orgs/${orgId}/limits`
  expectStatus(await used.admin.call('PUT', path, { body: { limits } }), 200)
}

test('a customer hears once that 50, 80 and 100 percent of the credits are used', async () => {
  const org = await listening(100_000n)
  for (const steps of [4, 1, 3, 1, 1]) await run(org, steps)
  const all = await org.heard(3)
  expect(all.map(({ body }) => body.type)).toEqual(Array(3).fill('balance.low'))
  expect(all.map((one) => one.headers['webhook-signature'])).toEqual(
    all.map((one) => expectedSignature(one, org.secret)),
  )
  expect(all.map(balanceOf)).toMatchObject(
    [
      [50, '50000'],
      [80, '20000'],
      [100, '0'],
    ].map(([percent, posted]) => ({
      ...{ orgId: org.orgId, percent, granted: '100000', posted, available: posted },
      ...{ held: '0', overdraft: '0', limit: null },
    })),
  )

  // A grant arms them again; the first credits are used up and count no more.
  await grant(org, '20000')
  await run(org, 1)
  expect(balanceOf((await org.heard(4))[3]!)).toMatchObject({ percent: 50, granted: '20000' })
  const sent = await org.api.all<WebhookDeliveryView>('/v1/webhook-deliveries')
  expect(sent.map(({ type, jobId }) => [type, jobId])).toEqual(Array(4).fill(['balance.low', null]))
})

test('a customer hears once in a month of limits, also of many jobs at the same time', async () => {
  const org = await listening(10_000_000n)
  const month = { scope: 'org', window: 'month' }
  await setLimits(
    org,
    { ...month, kind: 'units', unit: 'requests', max: 20 },
    { ...month, kind: 'spend', max: '320000' },
  )
  await Promise.all(Array.from({ length: 16 }, () => run(org, 1)))
  const all = await org.heard(3)
  const units = all.filter(({ body }) => body.type === 'limit.reached').map(limitOf)
  expect(units).toMatchObject([
    { percent: 50, limit: { kind: 'units', unit: 'requests', max: 20, used: '10' } },
    { percent: 80, limit: { kind: 'units', unit: 'requests', max: 20, used: '16' } },
  ])
  const spend = all.filter(({ body }) => body.type === 'balance.low').map(balanceOf)
  expect(spend).toMatchObject([
    { percent: 50, granted: null, limit: { kind: 'spend', max: '320000', used: '160000' } },
  ])
  expect(all).toHaveLength(3)
})
