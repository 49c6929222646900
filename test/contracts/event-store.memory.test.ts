import { beforeAll } from '@jest/globals'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../infra/memory/event-store.ts'
import { eventStoreContract } from './event-store.contract.ts'

let store: MemoryEventStore

beforeAll(() => {
  store = new MemoryEventStore(new MemoryEventLog())
})

eventStoreContract(() => store)
