import { beforeAll } from '@jest/globals'
import { MemoryDeliveryStore } from '../../infra/memory/delivery-store.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { deliveryStoreContract } from './delivery-store.contract.ts'

const clock = new SimulatedClock()
let store: MemoryDeliveryStore

beforeAll(() => {
  store = new MemoryDeliveryStore(clock)
})

deliveryStoreContract(
  () => store,
  (ms) => clock.advance(ms),
)
