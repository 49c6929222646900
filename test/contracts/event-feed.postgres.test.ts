import { PostgresEventFeed } from '../../infra/postgres/event-feed.ts'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { testDatabase } from '../support/database.ts'
import { eventFeedContract } from './event-feed.contract.ts'

eventFeedContract(async () => {
  const database = await testDatabase()
  const pool = openPool(database.url, { max: 4, applicationName: 'weir-test' })
  const listener = new PostgresListener(database.url, 'weir-test')
  return {
    feed: new PostgresEventFeed(pool, listener),
    store: new PostgresEventStore(pool),
    close: async () => {
      await listener.close()
      await pool.end()
      await database.close()
    },
  }
})
