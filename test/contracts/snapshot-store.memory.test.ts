import { beforeAll } from '@jest/globals'
import { MemorySnapshotStore } from '../../infra/memory/snapshot-store.ts'
import { snapshotStoreContract } from './snapshot-store.contract.ts'

let store: MemorySnapshotStore

beforeAll(() => {
  store = new MemorySnapshotStore()
})

snapshotStoreContract(() => store)
