import { mkdirSync } from 'node:fs'
import { DomainError } from '../../domain/errors.ts'
import { projections } from '../../projections/registry.ts'
import { isToAdopt } from '../../workers/adopt-log.ts'
import { rebuild } from '../../workers/rebuild.ts'
import type { Profile } from '../profiles/profile.ts'
import { devFilePath, keepDevFile } from '../supervisor/dev-file.ts'
import { argument, CliError, say, UsageError } from './command.ts'
import type { Command, Given } from './command.ts'
import { withDatabase } from './database.ts'
import { adopt, sayAdopted } from './move.ts'
import { sayHole } from './say-hole.ts'

/** Commands about the installation as a whole. */
export const systemCommands: readonly Command[] = [
  {
    name: 'start',
    usage: '',
    summary: 'Starts weir on this machine: database, api, worker and projector.',
    run: start,
  },
  {
    name: 'migrate',
    usage: '',
    summary: 'Brings the database schema up to date. `weir start` does so by itself.',
    run: migrate,
  },
  {
    name: 'setup',
    usage: '',
    summary: 'Makes an installation ready for its roles: schema, first admin, org and key.',
    run: setup,
  },
  {
    name: 'rebuild',
    usage: '<read-model>',
    summary: 'Builds a read model anew from the log, beside the live one, and swaps them.',
    run: rebuildReadModel,
  },
]

/** The launcher stays until it is told to stop, and sets the exit code itself. */
async function start(): Promise<number> {
  await import('../main.ts')
  return 0
}

async function migrate(): Promise<number> {
  return withDatabase(async (database) => {
    const { missing } = await database.migrations()
    await database.migrate()
    for (const name of missing) say(`Applied ${name}.`)
    say('The database is up to date.')
    return 0
  })
}

async function setup(): Promise<number> {
  return withDatabase(async (database, config) => {
    await database.migrate()
    await adoptIfNew(database.profile(), config.publicUrl)
    mkdirSync(config.home, { recursive: true })
    keepDevFile(config, await database.bootstrap(), database.apiUrl)
    say(`weir is set up; ${devFilePath(config.home)} holds the first credentials.`)
    return 0
  })
}

/**
 * A new database may be that of an old log: its Postgres was lost, or it was imported. What was
 * interrupted is gone on with: webhooks of that log would be sent again otherwise.
 */
async function adoptIfNew(profile: Profile, publicUrl: string): Promise<void> {
  const readModels = projections({ publicUrl, alarm: () => undefined })
  if (!(await isToAdopt(profile.readModels, readModels))) return
  const adopted = await adopt(profile, publicUrl)
  if (adopted.events > 0) sayAdopted(adopted)
}

async function rebuildReadModel(given: Given): Promise<number> {
  const name = argument(given, 0, 'read-model')
  return withDatabase(async (database, config) => {
    const all = projections({ publicUrl: config.publicUrl, alarm: sayHole })
    const projection = all.find((known) => known.name === name)
    if (!projection) {
      const known = all.filter(({ rebuildable }) => rebuildable).map((each) => each.name)
      throw new UsageError(`There is no read model ${name}; there are ${known.join(', ')}.`)
    }
    const { newFeed, readModels: store } = database.profile()
    const report = (_level: string, fields: Readonly<Record<string, unknown>>, text: string) => {
      const { position } = fields
      say(typeof position === 'string' ? `${text}, position ${position}` : text)
    }
    try {
      await rebuild({ feed: newFeed(), store, projection, report })
    } catch (error) {
      throw error instanceof DomainError ? new CliError(error.message) : error
    }
    say(`${name} is rebuilt.`)
    return 0
  })
}
