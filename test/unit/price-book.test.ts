import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  priceBookDecider,
  priceCall,
  versionAt,
  versionNumbered,
} from '../../domain/pricing/price-book.ts'
import type {
  PriceBookEvent,
  PriceLine,
  PriceVersion,
  PublishPrice,
} from '../../domain/pricing/price-book.ts'
import { given as givenEvents } from '../support/given.ts'
import { at } from '../support/job-history.ts'

const given = (events: readonly PriceBookEvent[]) => givenEvents(priceBookDecider, events)
const sandbox: PriceLine = {
  provider: 'sandbox',
  model: null,
  unit: 'requests',
  costUsd: '0.00000003',
  priceCredits: '0.01',
}

function publish(version: number, prices: readonly PriceLine[] = [sandbox]): PublishPrice {
  return { type: 'PublishPrice', version, effectiveAt: at(version), prices, reason: 'list' }
}

function published(version: number, previous: 'none' | 'same' = 'none'): PriceBookEvent {
  const { costUsd: _, priceCredits: __, ...line } = sandbox
  const prices = [{ ...line, costPicoUsd: '30000', pricePicoCredits: '10000000000' }]
  return {
    type: 'PricePublished',
    data: {
      ...{ version, effectiveAt: at(version), prices, reason: 'list' },
      previous: previous === 'none' ? [] : prices,
    },
  }
}

describe('the price book', () => {
  test('publishes its first and its next version', () => {
    given([])
      .when(publish(1))
      .then([published(1)])
    given([published(1)])
      .when(publish(2))
      .then([published(2, 'same')])
  })
  test('tells the prices of the version before, not of the first one', () => {
    const first = { ...published(1), data: { ...published(1).data, prices: [] } }
    given([first, published(2)])
      .when(publish(3))
      .then([published(3, 'same')])
  })
  test('publishes a version once', () => {
    given([published(1)])
      .when(publish(1))
      .doesNothing()
    given([published(1), published(2)])
      .when(publish(1, []))
      .doesNothing()
  })
  test('leaves no version out', () => {
    given([]).when(publish(2)).refuses('conflict')
    given([published(1)])
      .when(publish(3))
      .refuses('conflict')
  })
  test('refuses what is not a decimal, naming every wrong member', () => {
    const wrong = { ...sandbox, unit: 'images', costUsd: '3e-8', priceCredits: '-1' }
    const detail = 'must be a decimal string with at most 12 places, e.g. "0.000003"'
    const errors = ['/prices/1/costUsd', '/prices/1/priceCredits'].map((pointer) => ({
      pointer,
      detail,
    }))
    given([])
      .when(publish(1, [sandbox, wrong]))
      .refuses('invalid_input', { errors })
  })
  test('refuses two prices for the same unit of the same model', () => {
    const dear = { ...sandbox, priceCredits: '5' }
    given([])
      .when(publish(1, [sandbox, { ...dear, model: 'm1' }, { ...dear, unit: 'images' }, dear]))
      .refuses('invalid_input', { errors: [{ pointer: '/prices/3', detail: 'is there twice' }] })
  })
  test('has a scheduled version in force from its time on, whatever came meanwhile', () => {
    const scheduled = { ...published(2), data: { ...published(2).data, effectiveAt: at(90) } }
    const book = given([published(1), scheduled, published(3)]).state
    expect(versionAt(book, at(89))?.version).toBe(3)
    expect(versionAt(book, at(90))?.version).toBe(2)
    const both = { ...published(3), data: { ...published(3).data, effectiveAt: at(90) } }
    expect(versionAt(given([published(1), scheduled, both]).state, at(90))?.version).toBe(3)
  })
  test('has the version that is in force at a time', () => {
    const book = given([published(1), published(2)]).state
    expect(versionAt(book, at(0))).toBeNull()
    expect(versionAt(book, at(1))?.version).toBe(1)
    expect(versionAt(book, at(9))?.version).toBe(2)
    expect(versionNumbered(book, 1)?.version).toBe(1)
    expect(versionNumbered(book, 3)).toBeNull()
  })
})

describe('the price of a call', () => {
  const line = { provider: 'openai', model: null, unit: 'input_tokens' }
  const general = { ...line, costPicoUsd: '30000', pricePicoCredits: '50000' }
  const special = { ...general, model: 'gpt-9', pricePicoCredits: '70000' }
  const output = { ...general, unit: 'output_tokens', pricePicoCredits: '1' }
  const version: PriceVersion = {
    version: 1,
    effectiveAt: at(0),
    prices: [general, special, output],
  }
  const call = { provider: 'openai', model: null, units: { input_tokens: '1' } }

  test('is rounded once for the whole call: the cost half-even, the price up', () => {
    const units = { input_tokens: '20', output_tokens: '1' }
    expect(priceCall(version, { ...call, units })).toEqual({
      costNanoUsd: 630n,
      costRemainderPico: 0n,
      chargedMicro: 2n,
      priceRemainderPico: -999_999n,
      complete: true,
    })
  })
  test.each([
    ['499', 0n],
    ['500', 0n],
    ['501', 1n],
    ['1500', 2n],
    ['2500', 2n],
  ])('of %s pico-USD costs %s nano-USD', (costPicoUsd, costNanoUsd) => {
    const prices = [{ ...general, costPicoUsd, pricePicoCredits: '0' }]
    const remainder = BigInt(costPicoUsd) - costNanoUsd * 1_000n
    expect(priceCall({ ...version, prices }, call)).toMatchObject({
      ...{ costNanoUsd, costRemainderPico: remainder, chargedMicro: 0n },
    })
  })
  test('follows the line of the model, then the line of every model', () => {
    const units = { input_tokens: '1000000' }
    const charged = (model: string | null) => priceCall(version, { ...call, model, units })
    expect(charged('gpt-9').chargedMicro).toBe(70_000n)
    expect(charged('gpt-8').chargedMicro).toBe(50_000n)
    expect(charged(null).chargedMicro).toBe(50_000n)
  })
  test('counts what has a price and flags what has none', () => {
    const units = { input_tokens: '20', images: '3' }
    expect(priceCall(version, { ...call, units })).toMatchObject({
      chargedMicro: 1n,
      complete: false,
    })
    expect(priceCall(null, call)).toMatchObject({ chargedMicro: 0n, complete: false })
    const stranger = { ...call, provider: 'stranger' }
    expect(priceCall(version, stranger)).toMatchObject({ complete: false })
  })
  test('of no units is nothing', () => {
    expect(priceCall(version, { ...call, units: {} })).toMatchObject({
      chargedMicro: 0n,
      complete: true,
    })
  })

  test('with its remainders is exactly the sum of units × price', () => {
    const amount = fc.bigInt(0n, 10n ** 15n)
    const unit = fc.record({ count: amount, cost: amount, price: amount })
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 6 }), (units) => {
        const prices = units.map(({ cost, price }, index) => ({
          ...line,
          unit: `unit${index}`,
          costPicoUsd: cost.toString(),
          pricePicoCredits: price.toString(),
        }))
        const counts = units.map(({ count }, index) => [`unit${index}`, count.toString()])
        const priced = priceCall(
          { ...version, prices },
          { ...call, units: Object.fromEntries(counts) as Record<string, string> },
        )
        const cost = units.reduce((sum, part) => sum + part.count * part.cost, 0n)
        const price = units.reduce((sum, part) => sum + part.count * part.price, 0n)
        expect(priced.costNanoUsd * 1_000n + priced.costRemainderPico).toBe(cost)
        expect(priced.chargedMicro * 1_000_000n + priced.priceRemainderPico).toBe(price)
        expect(priced.complete).toBe(true)
      }),
    )
  })
})
