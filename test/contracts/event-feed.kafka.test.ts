import { beforeAll } from '@jest/globals'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { KafkaEventFeed } from '../../infra/kafka/event-feed.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { kafkaBrokers, sharedMs } from '../support/kafka-broker.ts'
import { KafkaWorld } from '../support/kafka-world.ts'
import { eventFeedContract } from './event-feed.contract.ts'

describeKafka('of one partition in Kafka', () => {
  let brokers: readonly string[]

  beforeAll(async () => {
    brokers = await kafkaBrokers()
  }, sharedMs)

  eventFeedContract(async () => {
    const world = new KafkaWorld(brokers, 1)
    world.isHistoryClosed = true
    let stop = (): Promise<void> => Promise.resolve()
    const feed = await new Promise<EventFeed>((resolve, reject) => {
      const work = async ({ feed, signal }: { feed: EventFeed; signal: AbortSignal }) => {
        resolve(feed)
        await new Promise((done) => signal.addEventListener('abort', done))
      }
      const following = world.newProcess().follow('reader', work)
      following.then((stopFollowing) => (stop = stopFollowing), reject)
    })
    if (!(feed instanceof KafkaEventFeed)) throw new Error('that is no feed of Kafka')
    return {
      feed,
      store: world.store,
      close: async () => {
        await stop()
        await world.close()
      },
    }
  })
})
