import { checkDatabase } from '../../infra/embedded-postgres/check-database.ts'
import { startEmbeddedPostgres } from '../../infra/embedded-postgres/embedded-postgres.ts'
import { migrate } from '../../infra/postgres/migrate.ts'
import type { Config } from '../config.ts'
import type { BootstrapContext } from '../supervisor/supervise.ts'
import { supervise } from '../supervisor/supervise.ts'

/** Starts everything on one machine; resolves with the exit code. */
export async function launch(config: Config): Promise<number> {
  return supervise(config, {
    startPostgres: startEmbeddedPostgres,
    checkDatabase,
    migrate,
    bootstrap: async (context) => (context.devFile ? undefined : fill(context)),
  })
}

/** Fills an empty installation. Loaded by need: a later start has nothing to fill. */
async function fill({ config, databaseUrl }: BootstrapContext) {
  const { bootstrap } = await import('./bootstrap.ts')
  const { openEmbedded } = await import('./embedded.ts')
  const silent = { appended: () => undefined, conflicted: () => undefined }
  const profile = openEmbedded({ ...config, databaseUrl }, 'bootstrap', silent)
  try {
    return await bootstrap(profile)
  } finally {
    await profile.close()
  }
}
