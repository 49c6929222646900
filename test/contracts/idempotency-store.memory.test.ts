import { beforeAll } from '@jest/globals'
import { MemoryIdempotencyStore } from '../../infra/memory/idempotency-store.ts'
import { idempotencyStoreContract } from './idempotency-store.contract.ts'

let store: MemoryIdempotencyStore

beforeAll(() => {
  store = new MemoryIdempotencyStore()
})

idempotencyStoreContract(() => store)
