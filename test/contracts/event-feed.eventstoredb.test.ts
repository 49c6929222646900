import { beforeAll } from '@jest/globals'
import { EventStoreDbEventFeed } from '../../infra/eventstoredb/event-feed.ts'
import { EventStoreDbEventStore } from '../../infra/eventstoredb/event-store.ts'
import { eventStoreDbUrl } from '../support/eventstoredb-server.ts'
import { openEventStoreDb } from '../support/eventstoredb.ts'
import { eventFeedContract } from './event-feed.contract.ts'

let url: string

beforeAll(async () => {
  url = await eventStoreDbUrl()
}, 600_000)

eventFeedContract(async () => {
  const db = openEventStoreDb(url)
  return {
    feed: new EventStoreDbEventFeed(db.connection, db.bell, db.streamPrefix),
    store: new EventStoreDbEventStore(db.connection, db.bell, db.streamPrefix),
    close: db.close,
  }
})
