import { join } from 'node:path'
import { openPipelines } from '../../domain/aggregates.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { FilesystemObjectStore } from '../../infra/filesystem/object-store.ts'
import { WholeLog } from '../../infra/memory/feed-partitions.ts'
import { PostgresAnnouncements } from '../../infra/postgres/announcements.ts'
import { PostgresAnnouncer } from '../../infra/postgres/announcer.ts'
import { PostgresEventFeed } from '../../infra/postgres/event-feed.ts'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresSignals } from '../../infra/postgres/signals.ts'
import { PostgresSnapshotStore } from '../../infra/postgres/snapshot-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { SystemIds } from '../../infra/system/ids.ts'
import { SharedFeed } from '../../workers/shared-feed.ts'
import { loadSecretKey } from '../config.ts'
import type { Config } from '../config.ts'
import { outbound } from './outbound.ts'
import { connectionsMax, postgresParts } from './postgres-parts.ts'
import type { Profile, ProfileWatch } from './profile.ts'

/** One machine: Postgres for the log, read models and signals; a folder for results. */
export function openEmbedded(config: Config, name: string, watch: ProfileWatch): Profile {
  const { databaseUrl } = config
  if (databaseUrl === undefined) throw new Error('the embedded profile needs DATABASE_URL')
  const secretKey = config.secretKey ?? loadSecretKey(config.home)
  const clock = new SystemClock()
  const ids = new SystemIds()
  const pool = openPool(databaseUrl, { max: connectionsMax, applicationName: `weir-${name}` })
  const listener = new PostgresListener(databaseUrl, `weir-${name}-listen`)
  const store = watch.wrapStore(new PostgresEventStore(pool))
  const snapshots = new PostgresSnapshotStore(pool)
  const root = join(config.home, 'objects')
  const objects = new FilesystemObjectStore({ root, baseUrl: config.publicUrl, secretKey, clock })
  const { observer } = watch
  const pipelines = openPipelines({ store, snapshots, clock, ids, observer })
  const log = new SharedFeed(() => new PostgresEventFeed(pool, listener), clock)
  const newFeed = (): EventFeed => log.reader()
  return {
    ...{ config, clock, ids, store, objects, secretKey, pipelines, newFeed },
    ...postgresParts(pool),
    ...outbound(config, { pipelines, clock, secretKey }),
    partitions: new WholeLog(newFeed),
    carriers: () => [],
    forgetCarried: async () => undefined,
    carryFrom: async () => undefined,
    carriage: null,
    lastCarried: async () => new Map(),
    isLogWhole: async () => true,
    servedObjects: objects,
    signals: new PostgresSignals(pool, listener),
    announcer: new PostgresAnnouncer(pool),
    announcements: new PostgresAnnouncements(listener),
    prepare: async () => undefined,
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
