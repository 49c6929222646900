import { afterAll, beforeAll } from '@jest/globals'
import { EventStoreDbEventStore } from '../../infra/eventstoredb/event-store.ts'
import { eventStoreDbUrl } from '../support/eventstoredb-server.ts'
import { openEventStoreDb, type OpenEventStoreDb } from '../support/eventstoredb.ts'
import { eventStoreContract } from './event-store.contract.ts'

let db: OpenEventStoreDb
let store: EventStoreDbEventStore

beforeAll(async () => {
  db = openEventStoreDb(await eventStoreDbUrl())
  store = new EventStoreDbEventStore(db.connection, db.bell, db.streamPrefix)
}, 600_000)

afterAll(async () => {
  await db.close()
})

eventStoreContract(() => store)
