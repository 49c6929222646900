import { afterAll, beforeAll, test } from '@jest/globals'
import { faultRounds } from '../support/rounds.ts'
import { Shop } from '../support/shop.ts'
import { startWeir, type Weir } from '../support/weir.ts'

// Two processes die in the same moment: neither may have counted on the other.

const limitMs = 120_000

let weir: Weir
let shop: Shop

beforeAll(async () => {
  weir = await startWeir({ isPostgresEmbedded: true, env: { WEIR_LOG_LEVEL: 'error' } })
  shop = await Shop.open(weir, 3)
}, limitMs)

afterAll(async () => {
  await shop.leave()
  await weir.stop()
}, limitMs)

test(
  'two that are killed together leave nothing lost, doubled or open',
  async () => {
    await shop.recovered()
    for (let round = 1; round <= faultRounds; round += 1) {
      await shop.killUnderLoad('worker', 'projector')
      await shop.recovered()
      await shop.killUnderLoad('api', 'postgres')
      await shop.recovered()
      await shop.killUnderLoad('parent', 'worker')
      await weir.start()
    }
    await shop.expectDrainInTime()
    await shop.expectExactly()
  },
  limitMs * faultRounds,
)
