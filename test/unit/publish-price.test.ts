import 'reflect-metadata'
import { expect, test } from '@jest/globals'
import { PublishPrice, PublishPriceHandler } from '../../src/commands/publish-price.ts'
import type { Runtime } from '../../src/runtime.ts'
import { MemoryWeir } from '../support/memory-weir.ts'

const line = { provider: 'sandbox', model: null, unit: 'requests' }
const prices = [{ ...line, costUsd: '0.001', priceCredits: '0.02' }]

test('prices that are published again by the same command are published once', async () => {
  const weir = await new MemoryWeir().open()
  const { store, pipelines, clock } = weir
  const handler = new PublishPriceHandler({ store, pipelines, clock } as unknown as Runtime)
  const context = weir.context('weir')
  const publish = async (by = context) =>
    (await handler.execute(new PublishPrice(prices, null, 'list', by))).version
  expect(await publish()).toBe(2)
  expect(await publish()).toBe(2)
  expect(await publish(weir.context('weir'))).toBe(3)
  expect(await publish()).toBe(2)
  expect(weir.count('PricePublished')).toBe(3)
})
