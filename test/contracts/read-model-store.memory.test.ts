import { beforeAll } from '@jest/globals'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { readModelStoreContract } from './read-model-store.contract.ts'

let store: MemoryReadModelStore

beforeAll(() => {
  store = new MemoryReadModelStore()
})

readModelStoreContract(() => store)
