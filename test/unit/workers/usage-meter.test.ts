import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { Row } from '../../../domain/ports/read-model-store.ts'
import { usageEntryTable } from '../../../projections/usage.ts'
import { UsageMeter } from '../../../workers/usage-meter.ts'
import { callMicro, MemoryWeir } from '../../support/memory-weir.ts'

let weir: MemoryWeir

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  weir.startProjector()
})

afterEach(async () => {
  await weir.stop()
})

/** Records one call of a new job, and returns its row. */
async function recorded(ms: number): Promise<Row> {
  const { pipelines, clock } = weir
  const meter = new UsageMeter({ pipelines, clock, unpriced: () => undefined })
  const job = await weir.job(await weir.submit('sandbox.run'))
  const call = { provider: 'sandbox', model: null, units: { requests: '1' } }
  const usageId = weir.ids.next()
  await meter.record(job, { ...call, usageId, startedAt: clock.now(), ms })
  await weir.pass(1)
  const row = weir.readModels.all(usageEntryTable).find((each) => each.usageId === usageId)
  if (!row) throw new Error('the call is not in the read model')
  return row
}

test('a call is charged once, with how long it took', async () => {
  expect(await recorded(30)).toMatchObject({ ms: 30, chargedMicro: String(callMicro) })
})

test('a clock that is set during a call makes no length that the books cannot hold', async () => {
  expect(await recorded(365 * 86_400_000)).toMatchObject({ ms: 2_147_483_647 })
  expect(await recorded(-3_600_000)).toMatchObject({ ms: 0 })
})
