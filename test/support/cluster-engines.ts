import { randomBytes } from 'node:crypto'
import { newBucket } from './bucket.ts'
import { givenEventStoreDb, ownEventStoreDb, startEventStoreDb } from './eventstoredb-server.ts'
import { newStreamPrefix } from './eventstoredb.ts'
import { kafkaBrokers, ownKafkaBroker } from './kafka-broker.ts'
import type { RunPlace } from './once-in-run.ts'
import { ownS3Server, sharedS3 } from './s3-server.ts'

/** An engine that a test may break: killed, it comes back with its data when it is started. */
export interface Engine {
  start(): Promise<void>
  kill(): Promise<void>
}

/** Engines that belong to one weir alone. */
export interface OwnEngines {
  readonly eventStoreDb: Engine
  readonly kafka: Engine & { wipe(): Promise<void> }
  readonly s3: Engine
}

/** Engines for one weir of the cluster profile. */
export interface ClusterEngines {
  /** What tells weir of them. */
  readonly env: Readonly<Record<string, string>>
  /** Ends what is not shared with other weirs. */
  stop(): Promise<void>
}

/** Two projectors can share the work, and each partition has more than one org. */
const partitions = 4

/**
 * Kafka and S3 of the whole test run, with topics and a bucket of this weir's own; and streams of
 * its own in the EventStoreDB that the run was given, or else an EventStoreDB of its own.
 *
 * @param place where that runs; by default it ends with the test file
 */
export async function clusterEngines(place?: RunPlace): Promise<ClusterEngines> {
  const [brokers, s3, eventStoreDb] = await Promise.all([
    kafkaBrokers(),
    sharedS3(),
    givenStreams() ?? (place ? startEventStoreDb(place) : ownEventStoreDb()),
  ])
  const env = await environment({ brokers, access: s3, ...eventStoreDb })
  return { env, stop: () => eventStoreDb.stop() }
}

/** What nobody but this weir has in a server that belongs to others. */
function givenStreams() {
  const url = givenEventStoreDb()
  return url === null ? null : { url, prefix: newStreamPrefix(), stop: () => Promise.resolve() }
}

/** All engines are this weir's own, for tests that break them. */
export async function ownClusterEngines(): Promise<ClusterEngines & OwnEngines> {
  const [kafka, s3, eventStoreDb] = await Promise.all([
    ownKafkaBroker(),
    ownS3Server(),
    ownEventStoreDb(),
  ])
  const brokers = kafka.brokers.split(',')
  const env = await environment({ brokers, access: s3.access, url: eventStoreDb.url })
  const stop = async (): Promise<void> => {
    await Promise.all([kafka, s3, eventStoreDb].map((engine) => engine.stop()))
  }
  return { env, kafka, s3, eventStoreDb, stop }
}

type Addresses = {
  readonly brokers: readonly string[]
  readonly access: Parameters<typeof newBucket>[0]
  readonly url: string
  /** Before the streams in a server that has others too. */
  readonly prefix?: string
}

async function environment({ brokers, access, url, prefix = '' }: Addresses) {
  const { endpoint = '', bucket, region, credentials } = await newBucket(access)
  return {
    WEIR_PROFILE: 'cluster',
    WEIR_EVENTSTOREDB_URL: url,
    WEIR_EVENTSTOREDB_STREAM_PREFIX: prefix,
    WEIR_KAFKA_BROKERS: brokers.join(','),
    WEIR_KAFKA_TOPIC_PREFIX: bucket,
    WEIR_KAFKA_PARTITIONS: String(partitions),
    WEIR_S3_ENDPOINT: endpoint,
    WEIR_S3_BUCKET: bucket,
    WEIR_S3_REGION: region,
    WEIR_S3_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
    WEIR_S3_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? '',
    WEIR_S3_FORCE_PATH_STYLE: 'true',
    WEIR_SECRET_KEY: randomBytes(32).toString('base64'),
  }
}
