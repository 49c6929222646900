import { checkDatabase } from '../../infra/embedded-postgres/check-database.ts'
import { startEmbeddedPostgres } from '../../infra/embedded-postgres/embedded-postgres.ts'
import { migrate } from '../../infra/postgres/migrate.ts'
import type { Config } from '../config.ts'
import { profileOpener } from './open.ts'
import { unwatched } from './profile.ts'
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
  const open = await profileOpener(config)
  const profile = open({ ...config, databaseUrl }, 'bootstrap', unwatched)
  try {
    return await bootstrap(profile)
  } finally {
    await profile.close()
  }
}
