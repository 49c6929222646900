import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { projections } from '../../projections/registry.ts'
import { exportLog } from '../../workers/audit/export-log.ts'
import { replayAudit } from '../../workers/audit/replay.ts'
import type { Difference } from '../../workers/audit/replay.ts'
import { verifyExport } from '../../workers/audit/verify-export.ts'
import type { BadEvent } from '../../workers/audit/verify-export.ts'
import { argument, CliError, option, say } from './command.ts'
import type { Command, Given } from './command.ts'
import { withDatabase } from './database.ts'

/** Commands that check the books. */
export const auditCommands: readonly Command[] = [
  {
    name: 'audit export',
    usage: '<file>',
    summary: 'Writes the whole log into a new file, with a hash chain over every byte.',
    run: exportFile,
  },
  {
    name: 'audit verify',
    usage: '<file>',
    summary: 'Checks an exported log without any database; names the first bad event.',
    options: { hash: { type: 'string' } },
    run: verifyFile,
  },
  {
    name: 'audit replay',
    usage: '',
    summary: 'Folds the log from zero and compares every row with the live read models.',
    run: replay,
  },
]

async function exportFile(given: Given): Promise<number> {
  const path = argument(given, 0, 'file')
  const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
    throw new CliError(`${path} cannot be made: ${String(error)}`)
  })
  try {
    const { events, hash } = await withDatabase((database) =>
      exportLog(database.profile().newFeed(), (text) => file.appendFile(text)),
    )
    await file.sync()
    say(`${events} events are in ${path}.`)
    say(`Keep this hash elsewhere; \`audit verify --hash\` takes it: ${hash}`)
    return 0
  } finally {
    await file.close()
  }
}

async function verifyFile(given: Given): Promise<number> {
  const path = argument(given, 0, 'file')
  const verdict = await verifyExport(createReadStream(path)).catch((error: unknown) => {
    throw new CliError(`${path} cannot be read: ${String(error)}`)
  })
  const { events, streams, accounts, hash, bad } = verdict
  if (bad) {
    say(`BAD: ${placeOf(bad)}. ${bad.what}`)
    say(`${events} events before it are good.`)
    return 1
  }
  const expected = option(given, 'hash')
  if (expected !== undefined && expected !== hash) {
    say(`BAD: the file is whole, but another one: its hash is ${hash}.`)
    return 1
  }
  say(`Good: ${events} events in ${streams} streams, ${accounts.length} of them accounts.`)
  say(`Its hash is ${hash}.`)
  return 0
}

function placeOf({ line, n, stream, revision }: BadEvent): string {
  const event = stream === null ? '' : `, ${stream} revision ${revision ?? 'unknown'}`
  return `line ${line}${n === null ? '' : `, event number ${n}`}${event}`
}

async function replay(): Promise<number> {
  return withDatabase(async (database, { publicUrl }) => {
    const alarm = ({ stream, seen, got }: { stream: string; seen: number; got: number }): void => {
      say(`A hole: ${stream} has no revision between ${seen} and ${got}.`)
    }
    const { newFeed, readModels: store, partitions } = database.profile()
    const report = await replayAudit({
      ...{ feed: newFeed(), store, scratch: database.scratch() },
      projections: projections({ publicUrl, alarm }),
      shareOf: (event) => partitions.shareOf(event),
    })
    for (const { table, rows } of report.tables) say(`${table}: ${rows} rows compared`)
    for (const difference of report.differences) say(sentence(difference))
    const untold = report.differing - report.differences.length
    if (untold > 0) say(`and ${untold} more.`)
    if (report.differing > 0) return 1
    say(`No difference: ${report.events} events give exactly the live read models.`)
    return 0
  })
}

function sentence({ table, key, live, replayed }: Difference): string {
  if (replayed === null) return `DIFFERS: ${table} ${key} is not in the log.`
  if (live === null) return `DIFFERS: ${table} ${key} is missing.`
  const columns = Object.keys(replayed).filter((column) => {
    return JSON.stringify(live[column]) !== JSON.stringify(replayed[column])
  })
  return `DIFFERS: ${table} ${key} in ${columns.join(', ')}.`
}
