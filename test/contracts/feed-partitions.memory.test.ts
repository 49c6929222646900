import { MemoryEventFeed } from '../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../infra/memory/event-store.ts'
import { WholeLog } from '../../infra/memory/feed-partitions.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { feedPartitionsContract } from './feed-partitions.contract.ts'

feedPartitionsContract(async () => {
  const log = new MemoryEventLog()
  const clock = new SystemClock()
  return {
    store: new MemoryEventStore(log),
    newProcess: () => new WholeLog(() => new MemoryEventFeed(log, clock)),
    close: async () => undefined,
  }
})
