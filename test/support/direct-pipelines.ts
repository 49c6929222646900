import { openPipelines, type Pipelines } from '../../domain/aggregates.ts'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresSnapshotStore } from '../../infra/postgres/snapshot-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { SystemIds } from '../../infra/system/ids.ts'

const observer = { appended: () => undefined, conflicted: () => undefined }

/**
 * Issues commands on the log of a running weir, as another process of it would: for what no route
 * of the api does.
 */
export async function withPipelines<T>(
  databaseUrl: string,
  use: (pipelines: Pipelines) => Promise<T>,
): Promise<T> {
  const pool = openPool(databaseUrl, { max: 1, applicationName: 'test' })
  try {
    const store = new PostgresEventStore(pool)
    const snapshots = new PostgresSnapshotStore(pool)
    const ports = { store, snapshots, clock: new SystemClock(), ids: new SystemIds(), observer }
    return await use(openPipelines(ports))
  } finally {
    await pool.end()
  }
}

/** The context of a command that a test issues on an org. */
export function testContext(orgId: string) {
  const commandId = new SystemIds().next()
  return { commandId, orgId, actor: 'test', correlationId: commandId, traceparent: null }
}
