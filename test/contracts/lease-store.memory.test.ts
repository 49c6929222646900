import { beforeAll } from '@jest/globals'
import { MemoryLeaseStore } from '../../infra/memory/lease-store.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { concurrencyLimitTable } from '../../projections/concurrency-limit.ts'
import { jobQueueTable } from '../../projections/job-queue.ts'
import { leaseStoreContract, type LeaseWorld } from './lease-store.contract.ts'

let world: LeaseWorld

beforeAll(() => {
  const store = new MemoryReadModelStore()
  const clock = new SimulatedClock()
  world = {
    store,
    pass: (ms) => clock.advance(ms),
    leases: new MemoryLeaseStore(
      clock,
      () => store.all(jobQueueTable),
      () => store.all(concurrencyLimitTable),
    ),
  }
})

leaseStoreContract(() => world)
