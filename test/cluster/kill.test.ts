import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  ownClusterEngines,
  type ClusterEngines,
  type OwnEngines,
} from '../support/cluster-engines.ts'
import { runCli } from '../support/cli.ts'
import { faultRounds } from '../support/rounds.ts'
import { Shop } from '../support/shop.ts'
import { startWeir, type AddedRole, type Weir } from '../support/weir.ts'

// A stream of jobs runs on the cluster profile, its read models shared by two projectors, while
// each engine and each role is killed the hard way, and Kafka loses all that it holds.

const limitMs = 300_000

let engines: ClusterEngines & OwnEngines
let weir: Weir
let second: AddedRole
let shop: Shop

beforeAll(async () => {
  engines = await ownClusterEngines()
  weir = await startWeir({ engines, env: { WEIR_LOG_LEVEL: 'error' } })
  second = await weir.add('projector')
  shop = await Shop.open(weir, 3)
}, limitMs)

afterAll(async () => {
  await shop.leave()
  await second.stop()
  await weir.stop()
}, limitMs)

test(
  'whatever engine or role is killed, each job ends once, is paid once, and nothing is lost',
  async () => {
    await shop.recovered()
    for (let round = 1; round <= faultRounds; round += 1) {
      for (const name of ['kafka', 'eventStoreDb', 's3'] as const) {
        await shop.breakUnderLoad(async () => await engines[name].kill())
        await engines[name].start()
        await shop.recovered()
      }
      for (const name of ['worker', 'projector', 'api'] as const) {
        await shop.killUnderLoad(name)
        await shop.recovered()
      }
      await shop.breakUnderLoad(async () => {
        await engines.kafka.kill()
        await engines.kafka.wipe()
      })
      await engines.kafka.start()
      await shop.recovered()
    }
    await shop.expectDrainInTime()
    await shop.expectExactly()
    const { code, stdout } = await runCli(weir, ['audit', 'replay'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('No difference') })
  },
  limitMs * faultRounds,
)
