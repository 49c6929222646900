import { join } from 'node:path'
import { openPipelines } from '../../domain/aggregates.ts'
import { FilesystemObjectStore } from '../../infra/filesystem/object-store.ts'
import { GuardedClient } from '../../infra/http/guarded-client.ts'
import { GuardedRequestError } from '../../infra/http/guarded-request-error.ts'
import { HttpWebhookTransport } from '../../infra/http/webhook-transport.ts'
import { WholeLog } from '../../infra/memory/feed-partitions.ts'
import { PostgresAnnouncements } from '../../infra/postgres/announcements.ts'
import { PostgresAnnouncer } from '../../infra/postgres/announcer.ts'
import { PostgresDeliveryStore } from '../../infra/postgres/delivery-store.ts'
import { PostgresEventFeed } from '../../infra/postgres/event-feed.ts'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { PostgresHoldWatch } from '../../infra/postgres/hold-watch.ts'
import { PostgresIdempotencyStore } from '../../infra/postgres/idempotency-store.ts'
import { PostgresLeaseStore } from '../../infra/postgres/lease-store.ts'
import { PostgresLimitStore } from '../../infra/postgres/limit-store.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../../infra/postgres/read-model-store.ts'
import { PostgresSignals } from '../../infra/postgres/signals.ts'
import { PostgresSnapshotStore } from '../../infra/postgres/snapshot-store.ts'
import { sqlOver } from '../../infra/postgres/sql.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { SystemIds } from '../../infra/system/ids.ts'
import { JobError } from '../../workers/job-error.ts'
import type { Download } from '../../workers/open-input.ts'
import { SharedFeed } from '../../workers/shared-feed.ts'
import { loadSecretKey } from '../config.ts'
import type { Config } from '../config.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { EventStore } from '../../domain/ports/event-store.ts'
import type { PipelineObserver } from '../../domain/pipeline/command-pipeline.ts'
import type { Profile } from './profile.ts'
import { webhookSecrets } from './webhook-secrets.ts'

/** Connections of one process. Few: batches do the work, and every one costs Postgres memory. */
const connectionsMax = 8
/** Largest picture or file that a job fetches from a URL, bytes. */
const downloadBytesMax = 20_000_000

/**
 * Everything on one machine: Postgres for the log, read models and signals, a folder for results.
 *
 * @param watch wraps the event store, for traces
 */
export function openEmbedded(
  config: Config,
  name: string,
  observer: PipelineObserver,
  watch: (store: EventStore) => EventStore = (store) => store,
): Profile {
  const { databaseUrl } = config
  if (databaseUrl === undefined) throw new Error('the embedded profile needs DATABASE_URL')
  const secretKey = config.secretKey ?? loadSecretKey(config.home)
  const clock = new SystemClock()
  const ids = new SystemIds()
  const pool = openPool(databaseUrl, { max: connectionsMax, applicationName: `weir-${name}` })
  const listener = new PostgresListener(databaseUrl, `weir-${name}-listen`)
  const store = watch(new PostgresEventStore(pool))
  const snapshots = new PostgresSnapshotStore(pool)
  const root = join(config.home, 'objects')
  const objects = new FilesystemObjectStore({ root, baseUrl: config.publicUrl, secretKey, clock })
  const client = new GuardedClient({ allowPrivate: config.arePrivateWebhooksAllowed })
  const pipelines = openPipelines({ store, snapshots, clock, ids, observer })
  const log = new SharedFeed(() => new PostgresEventFeed(pool, listener))
  const newFeed = (): EventFeed => log.reader()
  const secretsOf = webhookSecrets({ pipelines, clock, secretKey })
  return {
    ...{ config, clock, ids, store, objects, secretKey, pipelines },
    servedObjects: objects,
    newFeed,
    partitions: new WholeLog(newFeed),
    carriers: () => [],
    sql: sqlOver(pool),
    signals: new PostgresSignals(pool, listener),
    announcer: new PostgresAnnouncer(pool),
    announcements: new PostgresAnnouncements(listener),
    leases: new PostgresLeaseStore(pool),
    limits: new PostgresLimitStore(pool),
    holds: new PostgresHoldWatch(pool),
    readModels: new PostgresReadModelStore(pool),
    deliveries: new PostgresDeliveryStore(pool),
    idempotency: new PostgresIdempotencyStore(pool),
    transport: new HttpWebhookTransport(client, secretsOf),
    checkUrl: (url) => client.check(url),
    download: downloadWith(client),
    sweepObjects: async () => {
      await objects.sweep()
    },
    close: async () => {
      await listener.close()
      await pool.end()
      await objects.close()
    },
  }
}

function downloadWith(client: GuardedClient): Download {
  return async (url, signal) => {
    try {
      const bytesMax = downloadBytesMax
      const { contentType, body } = await client.download({ url, bytesMax, signal })
      const type = contentType ?? 'application/octet-stream'
      return { contentType: type, bytes: body.length, body: only(body) }
    } catch (error) {
      if (!(error instanceof GuardedRequestError)) throw error
      const retryable = error.code !== 'forbidden_address' && error.code !== 'too_large'
      throw new JobError({ code: 'input_unreachable', message: error.message, retryable })
    }
  }
}

async function* only(bytes: Uint8Array) {
  yield bytes
}
