import { beforeAll } from '@jest/globals'
import { MemoryLimitStore } from '../../infra/memory/limit-store.ts'
import { limitStoreContract } from './limit-store.contract.ts'

let store: MemoryLimitStore

beforeAll(() => {
  store = new MemoryLimitStore()
})

limitStoreContract(() => store)
