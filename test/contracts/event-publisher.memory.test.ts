import { MemoryEventPublisher, MemoryTopic } from '../../infra/memory/event-publisher.ts'
import { eventPublisherContract } from './event-publisher.contract.ts'

eventPublisherContract(async () => {
  const topic = new MemoryTopic()
  return {
    publisher: new MemoryEventPublisher(topic),
    published: async () => topic.records,
    replace: async () => topic.wipe(),
  }
})
