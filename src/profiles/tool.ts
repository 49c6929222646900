import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ReadModelStore } from '../../domain/ports/read-model-store.ts'
import { checkDatabase } from '../../infra/embedded-postgres/check-database.ts'
import {
  joinEmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../infra/embedded-postgres/embedded-postgres.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { migrate, migrationState } from '../../infra/postgres/migrate.ts'
import type { MigrationState } from '../../infra/postgres/migrate.ts'
import { localUrl } from '../config.ts'
import type { Config } from '../config.ts'
import type { DevFile } from '../supervisor/dev-file.ts'
import { isHomeTaken } from '../supervisor/home-lock.ts'
import { profileOpener } from './open.ts'
import { unwatched } from './profile.ts'
import type { Profile } from './profile.ts'

/** What keeps a tool from its database, as a sentence for the person at the terminal. */
export class ToolError extends Error {
  override readonly name = 'ToolError'
}

/** The database of an installation, for a command that looks into it or mends it. */
export type ToolDatabase = {
  readonly url: string
  /** Where programs reach the api. */
  readonly apiUrl: string
  /** Whether the Postgres runs for this command alone. */
  readonly isStartedHere: boolean
  readonly migrate: () => Promise<void>
  readonly migrations: () => Promise<MigrationState>
  /** The adapters, opened on the first call. */
  readonly profile: () => Profile
  /** Makes the first admin, prices and org where they are not there yet; the same every time. */
  readonly bootstrap: () => Promise<DevFile>
  /** Empty read models in memory, to fold the log into. */
  readonly scratch: () => ReadModelStore
  readonly close: () => Promise<void>
}

/**
 * Finds the database: `DATABASE_URL`, else the running Postgres of the home, else the home's own
 * Postgres is started and stopped again at the end.
 *
 * @throws ToolError with one sentence
 */
export async function openToolDatabase(config: Config): Promise<ToolDatabase> {
  const { databaseUrl, home } = config
  const place = databaseUrl === undefined ? await embeddedPlace(home) : await given(databaseUrl)
  const openProfile = await profileOpener(config)
  let profile: Profile | null = null
  let isClosed = false
  const open = () => {
    if (isClosed) throw new ToolError('The database is closed.')
    try {
      return (profile ??= openProfile({ ...config, databaseUrl: place.url }, 'cli', unwatched))
    } catch (error) {
      // Such as a connection string that cannot be read.
      throw new ToolError(error instanceof Error ? error.message : String(error))
    }
  }
  return {
    url: place.url,
    // The roles of a cluster are elsewhere, and so is their port.
    apiUrl: config.cluster ? config.publicUrl : localUrl(config.host, config.port),
    isStartedHere: place.isStartedHere,
    migrate: () => migrate(place.url),
    migrations: () => migrationState(place.url),
    profile: open,
    bootstrap: async () => (await import('./bootstrap.ts')).bootstrap(open()),
    scratch: () => new MemoryReadModelStore(),
    close: async () => {
      isClosed = true
      await profile?.close()
      await place.stop()
    },
  }
}

type Place = {
  readonly url: string
  readonly isStartedHere: boolean
  readonly stop: () => Promise<void>
}

async function given(url: string): Promise<Place> {
  try {
    await checkDatabase(url)
  } catch (error) {
    throw new ToolError(error instanceof Error ? error.message : String(error))
  }
  return guest(url)
}

function guest(url: string): Place {
  return { url, isStartedHere: false, stop: async () => undefined }
}

async function embeddedPlace(home: string): Promise<Place> {
  if (!existsSync(join(home, 'postgres.json'))) {
    throw new ToolError(
      `There is no database in ${home}: set WEIR_HOME to the home of a weir, or DATABASE_URL.`,
    )
  }
  try {
    if (await isHomeTaken(home)) return guest(await joinEmbeddedPostgres(home))
    const postgres = await startEmbeddedPostgres({ home })
    const { url, adopted } = postgres
    const stop = async (): Promise<void> => {
      // A weir that was started meanwhile has taken it over.
      if (!adopted && !(await isHomeTaken(home))) await postgres.stop()
    }
    return { url, isStartedHere: !adopted, stop }
  } catch (error) {
    throw new ToolError(error instanceof Error ? error.message : String(error))
  }
}
