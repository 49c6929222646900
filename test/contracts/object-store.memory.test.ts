import { afterAll, beforeAll } from '@jest/globals'
import { MemoryObjectStore } from '../../infra/memory/object-store.ts'
import { serveObjects, type ObjectServer } from '../support/object-server.ts'
import { objectStoreContract } from './object-store.contract.ts'

let served: ObjectServer<MemoryObjectStore>

beforeAll(async () => {
  served = await serveObjects((options) => new MemoryObjectStore(options))
})

afterAll(() => served.server.close())

objectStoreContract(() => ({ store: served.store, now: () => served.clock.now() }))
