import { MemoryEventFeed } from '../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../infra/memory/event-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { SharedFeed } from '../../workers/shared-feed.ts'
import { eventFeedContract } from './event-feed.contract.ts'

eventFeedContract(async () => {
  const log = new MemoryEventLog()
  const shared = new SharedFeed(
    () => new MemoryEventFeed(log, new SystemClock()),
    new SystemClock(),
  )
  return {
    feed: shared.reader(),
    store: new MemoryEventStore(log),
    close: async () => undefined,
  }
})
