import { beforeAll } from '@jest/globals'
import { MemoryHoldWatch } from '../../infra/memory/hold-watch.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import {
  accountBalanceTable,
  creditGrantTable,
  creditHoldTable,
} from '../../projections/balance.ts'
import { jobQueueTable } from '../../projections/job-queue.ts'
import { holdWatchContract, type HoldWatchWorld } from './hold-watch.contract.ts'

let world: HoldWatchWorld

beforeAll(() => {
  const store = new MemoryReadModelStore()
  const holds = new MemoryHoldWatch({
    holds: () => store.all(creditHoldTable),
    queue: () => store.all(jobQueueTable),
    grants: () => store.all(creditGrantTable),
    balances: () => store.all(accountBalanceTable),
  })
  world = { store, holds }
})

holdWatchContract(() => world)
