import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DomainError } from '../../domain/errors.ts'
import { projections } from '../../projections/registry.ts'
import { jobQueueTable } from '../../projections/job-queue.ts'
import { adoptLog } from '../../workers/adopt-log.ts'
import type { Adopted } from '../../workers/adopt-log.ts'
import { importLog, ImportRefused } from '../../workers/audit/import-log.ts'
import { verifyExport } from '../../workers/audit/verify-export.ts'
import { copyObjects } from '../../workers/copy-objects.ts'
import { openObjectFolder } from '../profiles/other-home.ts'
import type { Profile } from '../profiles/profile.ts'
import { argument, CliError, option, say } from './command.ts'
import type { Command, Given } from './command.ts'
import { withDatabase } from './database.ts'
import { exportFile } from './export-file.ts'
import { sayHole } from './say-hole.ts'

/** Commands that carry an installation to other engines. */
export const moveCommands: readonly Command[] = [
  {
    name: 'export',
    usage: '<file>',
    summary: 'Writes the whole log into a new file, for `weir import` elsewhere.',
    run: exportFile,
  },
  {
    name: 'import',
    usage: '<file> [--objects <folder>]',
    summary: 'Brings an exported log, and the objects of a home, into an empty installation.',
    options: { objects: { type: 'string', about: 'the folder `objects` of the old home' } },
    run: importFile,
  },
]

async function importFile(given: Given): Promise<number> {
  const path = argument(given, 0, 'file')
  const open = () => createReadStream(path)
  const verdict = await verifyExport(open()).catch((error: unknown) => {
    throw new CliError(`${path} cannot be read: ${String(error)}`)
  })
  const { events: verified, hash, bad } = verdict
  if (bad) throw new CliError(`${path} was changed or torn: see \`weir audit verify ${path}\`.`)
  say(`${path} is good: ${verified} events, and its hash is ${hash}.`)
  return withDatabase(async (database, { publicUrl }) => {
    await database.migrate()
    const profile = database.profile()
    try {
      const { events, wereThere } = await importLog({ ...profile, open, progress: tell })
      if (wereThere > 0) say(`${wereThere} of them were there already.`)
      say(`All ${events} are in the event store, in their order, and read back the same.`)
      sayAdopted(await adopt(profile, publicUrl))
      const folder = option(given, 'objects')
      if (folder !== undefined) await importObjects(profile, folder)
    } catch (error) {
      if (error instanceof ImportRefused || error instanceof DomainError) {
        throw new CliError(`The log cannot be imported here: ${error.message}`)
      }
      throw error
    }
    return 0
  })
}

async function importObjects(profile: Profile, folder: string): Promise<void> {
  await stat(join(folder, 'objects')).catch(() => {
    throw new CliError(`${folder} is not the folder \`objects\` of a home.`)
  })
  await profile.prepare()
  const from = openObjectFolder(folder)
  const { copied, wereThere } = await copyObjects({ keys: from.keys(), from, to: profile.objects })
  await from.close()
  say(`${copied} objects are copied${wereThere > 0 ? `, ${wereThere} were there already` : ''}.`)
}

/** How often an import says how far it is, in events. */
const toldEvery = 10_000
let told = 0

function tell(events: number): void {
  if (events < told + toldEvery) return
  told = events
  say(`${events} events …`)
}

/** Gives the database of a log with a history its read models, before any role runs. */
export async function adopt(profile: Profile, publicUrl: string): Promise<Adopted> {
  const { newFeed, readModels: store } = profile
  await profile.forgetCarried().catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    throw new CliError(`What was carried of another log could not be deleted: ${reason}`)
  })
  const adopted = await adoptLog({
    ...{ ...profile, feed: newFeed(), store, queue: jobQueueTable },
    projections: projections({ publicUrl, alarm: sayHole }),
  })
  if (adopted.position !== null) await profile.carryFrom(adopted.position)
  return adopted
}

export function sayAdopted({ events, parked, running }: Adopted): void {
  say(`The read models are built from ${events} events; ${running} running jobs are taken up.`)
  if (parked > 0) say(`${parked} webhooks of that time are parked: they are not sent again.`)
}
