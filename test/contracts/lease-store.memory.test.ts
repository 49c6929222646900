import { beforeAll } from '@jest/globals'
import { MemoryLeaseStore } from '../../infra/memory/lease-store.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { concurrencyLimitTable } from '../../projections/concurrency-limit.ts'
import { jobQueueTable } from '../../projections/job-queue.ts'
import { leaseStoreContract, type LeaseWorld } from './lease-store.contract.ts'

let world: LeaseWorld

beforeAll(() => {
  const store = new MemoryReadModelStore()
  world = {
    store,
    leases: new MemoryLeaseStore(
      () => store.all(jobQueueTable),
      () => store.all(concurrencyLimitTable),
    ),
  }
})

leaseStoreContract(() => world)
