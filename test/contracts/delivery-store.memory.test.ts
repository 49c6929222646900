import { beforeAll } from '@jest/globals'
import { MemoryDeliveryStore } from '../../infra/memory/delivery-store.ts'
import { deliveryStoreContract } from './delivery-store.contract.ts'

let store: MemoryDeliveryStore

beforeAll(() => {
  store = new MemoryDeliveryStore()
})

deliveryStoreContract(() => store)
