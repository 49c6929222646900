import { beforeAll } from '@jest/globals'
import { MemoryIdempotencyStore } from '../../infra/memory/idempotency-store.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { idempotencyStoreContract } from './idempotency-store.contract.ts'

const clock = new SimulatedClock()
let store: MemoryIdempotencyStore

beforeAll(() => {
  store = new MemoryIdempotencyStore(clock)
})

idempotencyStoreContract(
  () => store,
  (ms) => clock.advance(ms),
)
