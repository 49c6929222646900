import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { UsageView } from '../../src/queries/list-usage.ts'
import { sandbox } from '../support/client.ts'
import { faultRounds } from '../support/rounds.ts'
import { Shop } from '../support/shop.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWeir, type Weir } from '../support/weir.ts'

// A stream of jobs runs while each process of weir, and Postgres, is killed the hard way.

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
  'whatever is killed, each accepted job ends once, is paid once, and its result is whole',
  async () => {
    await shop.recovered()
    for (let round = 1; round <= faultRounds; round += 1) {
      for (const name of ['worker', 'projector', 'api', 'postgres'] as const) {
        await shop.killUnderLoad(name)
        await shop.recovered()
      }
      await shop.killUnderLoad('parent')
      await weir.start()
    }
    await shop.expectDrainInTime()
    await shop.expectExactly()
  },
  limitMs * faultRounds,
)

test(
  'a second start in the same home goes on with the same data',
  async () => {
    const { dev } = weir
    const { api } = shop
    const before = await api.balance()
    await weir.quit()
    await weir.start()
    expect(weir.dev).toEqual(dev)
    expect(await api.balance()).toEqual(before)
    const job = await api.run(sandbox({ steps: 1 }))
    expect(job.status).toBe('succeeded')
    const usage = await waitFor('its usage', async () => {
      const rows = await api.all<UsageView>(`/v1/usage?jobId=${job.jobId}`)
      return rows.length === 1 ? rows : undefined
    })
    expect(BigInt((await api.balance()).posted)).toBe(
      BigInt(before.posted) - BigInt(usage[0]!.chargedMicro),
    )
  },
  limitMs,
)
