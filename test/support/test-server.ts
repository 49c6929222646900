import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../infra/embedded-postgres/embedded-postgres.ts'
import { clusterNameOf, endOrphans } from '../../infra/embedded-postgres/leftovers.ts'

/** Tests want speed and many connections; their data need not survive anything. */
const settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
}

/** A throw-away Postgres server, its data gone after `stop`. */
export interface TestServer {
  readonly url: string
  stop(): Promise<void>
}

/** Starts the Postgres that weir itself starts, in a home of its own. */
export async function startTestServer(): Promise<TestServer> {
  await removeRemains()
  const home = mkdtempSync(join(tmpdir(), `weir-test-${process.pid}-`))
  // Under root the server runs as another user, who must get to its data.
  chmodSync(home, 0o755)
  const server = await startEmbeddedPostgres({ home, settings })
  const end = (): void => {
    process.kill(server.pid, 'SIGINT')
    process.exit(130)
  }
  process.once('SIGINT', end).once('SIGTERM', end)
  return {
    url: server.url,
    stop: async () => {
      process.off('SIGINT', end).off('SIGTERM', end)
      await server.stop()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Ends and removes what test runs that were killed have left behind. */
async function removeRemains(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const owner = Number(/^weir-test-(\d+)-/.exec(name)?.[1])
    if (!owner || isAlive(owner)) continue
    const home = join(tmpdir(), name)
    await endOrphans(await clusterNameOf(join(home, 'postgres', 'data')), 0)
    rmSync(home, { recursive: true, force: true, maxRetries: 20 })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
