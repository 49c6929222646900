import pg from 'pg'
import { endShared } from './end-shared.ts'
import type { TestRun } from './global-setup.ts'

/** Ends what the run has started, or removes the template from the server that was given. */
export default async function globalTeardown(): Promise<void> {
  const { weirTestRun } = globalThis as { weirTestRun?: TestRun }
  if (!weirTestRun) return
  await endShared(weirTestRun.folder)
  if (weirTestRun.server) {
    await weirTestRun.server.stop()
    return
  }
  const client = new pg.Client({ connectionString: weirTestRun.serverUrl })
  await client.connect()
  await client.query(`DROP DATABASE IF EXISTS ${weirTestRun.template} WITH (FORCE)`)
  await client.end()
}
