import { randomBytes } from 'node:crypto'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { EventStoreDbServer } from './eventstoredb.ts'
import { ownEventStoreDb } from './eventstoredb-server.ts'
import { kafkaBrokers } from './kafka-broker.ts'
import { sharedS3, type S3Access } from './s3-server.ts'

/** Engines for one weir of the cluster profile. */
export interface ClusterEngines {
  /** What tells weir of them. */
  readonly env: Readonly<Record<string, string>>
  readonly eventStoreDb: EventStoreDbServer
  /** Ends what is not shared with other weirs. */
  stop(): Promise<void>
}

/** Two projectors can share the work, and each partition has more than one org. */
const partitions = 4

/**
 * Kafka and S3 of the whole test run, with topics and a bucket of this weir's own; and an
 * EventStoreDB of its own, because one server is one log.
 */
export async function clusterEngines(): Promise<ClusterEngines> {
  const [brokers, s3, eventStoreDb] = await Promise.all([
    kafkaBrokers(),
    sharedS3(),
    ownEventStoreDb(),
  ])
  const name = `weir-${randomBytes(6).toString('hex')}`
  await createBucket(s3, name)
  return {
    eventStoreDb,
    env: {
      WEIR_PROFILE: 'cluster',
      WEIR_EVENTSTOREDB_URL: eventStoreDb.url,
      WEIR_KAFKA_BROKERS: brokers.join(','),
      WEIR_KAFKA_TOPIC_PREFIX: name,
      WEIR_KAFKA_PARTITIONS: String(partitions),
      WEIR_S3_ENDPOINT: s3.endpoint,
      WEIR_S3_BUCKET: name,
      WEIR_S3_REGION: s3.region,
      WEIR_S3_ACCESS_KEY_ID: s3.accessKeyId,
      WEIR_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
      WEIR_S3_FORCE_PATH_STYLE: 'true',
      WEIR_SECRET_KEY: randomBytes(32).toString('base64'),
    },
    stop: () => eventStoreDb.stop(),
  }
}

async function createBucket(access: S3Access, bucket: string): Promise<void> {
  const { endpoint, region, accessKeyId, secretAccessKey } = access
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
  } finally {
    client.destroy()
  }
}
