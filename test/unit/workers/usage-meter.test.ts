import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { isoTime } from '../../../domain/ports/clock.ts'
import { priceBookStream } from '../../../domain/pricing/price-book.ts'
import { creditHoldTable } from '../../../projections/balance.ts'
import type { Row } from '../../../domain/ports/read-model-store.ts'
import { usageEntryTable } from '../../../projections/usage.ts'
import { UsageMeter } from '../../../workers/usage-meter.ts'
import type { MeteredCall } from '../../../workers/usage-meter.ts'
import { callMicro, MemoryWeir } from '../../support/memory-weir.ts'

let weir: MemoryWeir

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  weir.startProjector()
})

afterEach(async () => {
  await weir.stop()
})

/** The calls of which a unit had no price. */
const unpriced: MeteredCall[] = []

/** Records one call of a job, a new one when none is given. Returns the id of the usage. */
async function record(ms: number, more: Partial<MeteredCall>, jobId: string): Promise<string> {
  const { pipelines, clock } = weir
  unpriced.length = 0
  const meter = new UsageMeter({ pipelines, clock, unpriced: (call) => unpriced.push(call) })
  const job = await weir.job(jobId || (await weir.submit('sandbox.run')))
  const call = { provider: 'sandbox', model: null, units: { requests: '1' } }
  const usageId = weir.ids.next()
  await meter.record(job, { ...call, usageId, startedAt: clock.now(), ms, ...more })
  return usageId
}

/** Records a call, and returns its row. */
async function recorded(ms: number, more: Partial<MeteredCall> = {}, jobId = ''): Promise<Row> {
  const usageId = await record(ms, more, jobId)
  await weir.pass(1)
  const row = weir.readModels.all(usageEntryTable).find((each) => each.usageId === usageId)
  if (!row) throw new Error('the call is not in the read model')
  return row
}

test('a call is charged once, with how long it took', async () => {
  expect(await recorded(30)).toMatchObject({ ms: 30, chargedMicro: String(callMicro) })
})

test('a call is in the log when its recording is over', async () => {
  await record(30, {}, await weir.submit('sandbox.run'))
  expect(weir.count('UsageRecorded')).toBe(1)
})

test('a clock that is set during a call makes no length that the books cannot hold', async () => {
  expect(await recorded(365 * 86_400_000)).toMatchObject({ ms: 2_147_483_647 })
  expect(await recorded(-3_600_000)).toMatchObject({ ms: 0 })
})

test('a call is told as of when it was made, and whose it was', async () => {
  const startedAt = weir.clock.now() - 5_000
  const calledAt = isoTime(startedAt)
  const jobId = await weir.submit('sandbox.run', { userId: 'u7' })
  expect(await recorded(30, { startedAt }, jobId)).toMatchObject({ calledAt, jobId, userId: 'u7' })
})

test('a call of a unit without a price is recorded, flagged and told', async () => {
  const units = { requests: '2', images: '3' }
  const row = await recorded(30, { units })
  expect(row).toMatchObject({ units, isPriced: false, chargedMicro: String(2n * callMicro) })
  expect(unpriced).toMatchObject([{ units }])
  await recorded(30)
  expect(unpriced).toEqual([])
})

test('a call is charged by the prices that its job was admitted with', async () => {
  const jobId = await weir.submit('sandbox.run')
  const line = { provider: 'sandbox', model: null, unit: 'requests' }
  const prices = [{ ...line, costUsd: '0.001', priceCredits: '0.07' }]
  const effectiveAt = isoTime(weir.clock.now())
  const publish = { type: 'PublishPrice' as const, version: 2, effectiveAt, prices, reason: '' }
  await weir.pipelines.priceBook.handle(priceBookStream, publish, weir.context('weir'))
  const row = await recorded(30, {}, jobId)
  expect(row).toMatchObject({ priceVersion: 1, chargedMicro: String(callMicro) })
})

test('a call of a job that was retried is paid out of the hold of the retry', async () => {
  const jobId = await weir.submit('sandbox.run')
  await weir.cancel(jobId)
  await weir.requeue(jobId)
  await recorded(30, {}, jobId)
  const holds = weir.readModels.all(creditHoldTable)
  expect(holds.find(({ holdId }) => holdId === jobId)).toMatchObject({ charged: '0' })
  expect(holds.find(({ holdId }) => holdId === `${jobId}/1`)).toMatchObject({
    charged: String(callMicro),
    remaining: String(9n * callMicro),
  })
})
