import { join } from 'node:path'
import { expect } from '@jest/globals'
import { FilesystemObjectStore } from '../../infra/filesystem/object-store.ts'
import { PostgresEventFeed } from '../../infra/postgres/event-feed.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { loadSecretKey } from '../../src/config.ts'
import { checkInvariants, type InvariantReport } from '../../workers/invariants.ts'

export interface CheckedInstallation {
  readonly databaseUrl: string
  readonly home: string
  /** False while jobs are still under way. */
  readonly isDrained?: boolean
}

/** Checks the whole log of an installation and every result, and expects no violation. */
export async function expectInvariants(
  installation: CheckedInstallation,
): Promise<InvariantReport> {
  const { databaseUrl, home, isDrained = true } = installation
  const pool = openPool(databaseUrl, { max: 2, applicationName: 'weir-invariants' })
  const listener = new PostgresListener(databaseUrl, 'weir-invariants-listen')
  const secretKey = loadSecretKey(home)
  const root = join(home, 'objects')
  const clock = new SystemClock()
  const baseUrl = 'http://weir.invalid'
  const objects = new FilesystemObjectStore({ root, baseUrl, secretKey, clock })
  try {
    const feed = new PostgresEventFeed(pool, listener)
    const report = await checkInvariants({ feed, objects, isDrained })
    expect(report.violations).toEqual([])
    return report
  } finally {
    await listener.close()
    await objects.close()
    await pool.end()
  }
}
