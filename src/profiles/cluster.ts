import { openPipelines } from '../../domain/aggregates.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { EventStoreDbBell } from '../../infra/eventstoredb/bell.ts'
import { EventStoreDbConnection } from '../../infra/eventstoredb/connection.ts'
import { EventStoreDbEventFeed } from '../../infra/eventstoredb/event-feed.ts'
import { EventStoreDbEventStore } from '../../infra/eventstoredb/event-store.ts'
import { KafkaAnnouncements } from '../../infra/kafka/announcements.ts'
import { KafkaAnnouncer } from '../../infra/kafka/announcer.ts'
import { KafkaConnection } from '../../infra/kafka/connection.ts'
import { DeadLetters } from '../../infra/kafka/dead-letters.ts'
import { KafkaEventPublisher, lastPublished } from '../../infra/kafka/event-publisher.ts'
import { KafkaFeedPartitions } from '../../infra/kafka/feed-partitions.ts'
import { KafkaSender } from '../../infra/kafka/sender.ts'
import { KafkaSignals } from '../../infra/kafka/signals.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresRelayCheckpoint } from '../../infra/postgres/relay-checkpoint.ts'
import { PostgresSnapshotStore } from '../../infra/postgres/snapshot-store.ts'
import { prepareBucket } from '../../infra/s3/bucket.ts'
import { S3ObjectStore } from '../../infra/s3/object-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { SystemIds } from '../../infra/system/ids.ts'
import { beginAt, isLogWhole, Relay, relayLag } from '../../workers/relay.ts'
import { SharedFeed } from '../../workers/shared-feed.ts'
import { loadSecretKey } from '../config.ts'
import type { Config } from '../config.ts'
import { outbound } from './outbound.ts'
import { connectionsMax, postgresParts } from './postgres-parts.ts'
import type { Profile, ProfileWatch } from './profile.ts'

/** Events that the lag of the relay counts at most. */
const relayLagMax = 1_000

/** EventStoreDB for the log, Kafka to carry it, Postgres for read models, S3 for results. */
export function openCluster(config: Config, name: string, watch: ProfileWatch): Profile {
  const { databaseUrl, cluster } = config
  if (!cluster || databaseUrl === undefined)
    throw new Error('the cluster profile needs its engines')
  const secretKey = config.secretKey ?? loadSecretKey(config.home)
  const clock = new SystemClock()
  const ids = new SystemIds()
  const application = `weir-${name}`
  const pool = openPool(databaseUrl, { max: connectionsMax, applicationName: application })
  const { eventStoreDbUrl, eventStoreDbPrefix: prefix } = cluster
  const connection = new EventStoreDbConnection(eventStoreDbUrl, application)
  const bell = new EventStoreDbBell(connection, prefix)
  const log = new SharedFeed(() => new EventStoreDbEventFeed(connection, bell, prefix), clock)
  const newFeed = (): EventFeed => log.reader()
  const store = watch.wrapStore(new EventStoreDbEventStore(connection, bell, prefix))
  const snapshots = new PostgresSnapshotStore(pool)
  const { observer, report } = watch
  const pipelines = openPipelines({ store, snapshots, clock, ids, observer })
  const kafka = new KafkaConnection({ ...cluster.kafka, clientId: application }, clock, report)
  const sender = new KafkaSender(kafka)
  const deadLetters = new DeadLetters(kafka, sender)
  const checkpoint = new PostgresRelayCheckpoint(pool)
  const lastCarried = async () => lastPublished((await checkpoint.stand()).mark)
  const sharing = { connection: kafka, newHistory: newFeed, deadLetters, lastCarried }
  const objects = new S3ObjectStore({ ...cluster.s3, clock })
  return {
    ...{ config, clock, ids, store, objects, secretKey, pipelines, newFeed, lastCarried },
    ...postgresParts(pool),
    ...outbound(config, { pipelines, clock, secretKey }),
    partitions: new KafkaFeedPartitions(sharing),
    carriers: () => {
      const publisher = new KafkaEventPublisher(kafka)
      const relaying = { feed: newFeed(), publisher, checkpoint, owner: ids.next() }
      return [new Relay({ ...relaying, clock, report }).loop()]
    },
    forgetCarried: () => kafka.empty(kafka.topics.events),
    carryFrom: (position) => beginAt({ checkpoint, owner: ids.next() }, position),
    carriage: async () => ({
      relayLag: await relayLag({ feed: newFeed(), checkpoint, clock }, relayLagMax),
      consumers: kafka.progress(),
      deadLetters: deadLetters.count,
    }),
    servedObjects: null,
    signals: new KafkaSignals(kafka, sender),
    announcer: new KafkaAnnouncer(kafka, sender),
    announcements: new KafkaAnnouncements(kafka),
    prepare: async () => {
      // Pages of weir itself stand at another origin than what they fetch and upload.
      await prepareBucket(cluster.s3, [new URL(config.publicUrl).origin, ...config.corsOrigins])
    },
    isLogWhole: () => isLogWhole({ feed: newFeed(), checkpoint }),
    sweepObjects: () => objects.sweep().then(() => undefined),
    close: async () => {
      await Promise.all([sender.close(), kafka.close()])
      await bell.close()
      connection.close()
      await pool.end()
      await objects.close()
    },
  }
}
