import { expect, test } from '@jest/globals'
import { estimateOf, planLeft } from '../../src/commands/estimate.ts'

const line = { model: null, costPicoUsd: '0' }
const version = {
  ...{ version: 1, effectiveAt: '2026-01-01T00:00:00.000Z' },
  prices: [
    { ...line, provider: 'sandbox', unit: 'requests', pricePicoCredits: '10000000000' },
    { ...line, provider: 'local', unit: 'images', pricePicoCredits: '1' },
  ],
}
const request = { provider: 'sandbox', model: null, units: { requests: '1' } }
const image = { provider: 'local', model: null, units: { images: '1' } }

test('an estimate is the sum of its calls, each rounded by itself, and a plan by provider', () => {
  expect(estimateOf(version, [request, request, image])).toEqual({
    amount: 20_001n,
    planned: [
      { provider: 'sandbox', amount: 20_000n, units: { requests: 2n } },
      { provider: 'local', amount: 1n, units: { images: 1n } },
    ],
  })
  expect(estimateOf(null, [])).toEqual({ amount: 0n, planned: [] })
})

test('what is left of a plan counts for its provider alone, and is never below nothing', () => {
  const { planned } = estimateOf(version, [request, request, image])
  const made = { provider: 'sandbox', units: { requests: '1' }, chargedMicro: '10000' }
  const other = { provider: 'local', amount: 1n, units: { images: 1n } }
  expect(planLeft(planned, [made])).toEqual([
    { provider: 'sandbox', amount: 10_000n, units: { requests: 1n } },
    other,
  ])
  expect(planLeft(planned, [made, made, made])).toEqual([other])
})
