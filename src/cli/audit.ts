import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { projections } from '../../projections/registry.ts'
import { compareLive } from '../../workers/audit/compare-live.ts'
import type { ChainHead } from '../../workers/audit/ledger-heads.ts'
import { replayAudit } from '../../workers/audit/replay.ts'
import type { Difference } from '../../workers/audit/replay.ts'
import { parseRoot, readRoot } from '../../workers/audit/root.ts'
import { verifyExport } from '../../workers/audit/verify-export.ts'
import type { BadEvent } from '../../workers/audit/verify-export.ts'
import { argument, CliError, isSet, option, say } from './command.ts'
import type { Command, Given } from './command.ts'
import { withDatabase } from './database.ts'
import { exportFile, newFile } from './export-file.ts'
import { sayHole } from './say-hole.ts'

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
    usage: '<file> [--hash <hash>] [--root <file>] [--live]',
    summary: 'Checks an exported log without any database; names the first bad event.',
    options: {
      hash: { type: 'string', about: 'the hash that `audit export` printed' },
      root: { type: 'string', about: 'a file that `audit root` wrote' },
      live: { type: 'boolean', about: 'looks too whether the live log still says the same' },
    },
    run: verifyFile,
  },
  {
    name: 'audit root',
    usage: '<file> [--day <yyyy-mm-dd>]',
    summary: 'Writes into a new file where all accounts stood on a day, by default the last one.',
    options: { day: { type: 'string', about: 'in UTC; by default the last one with a root' } },
    run: rootFile,
  },
  {
    name: 'audit replay',
    usage: '',
    summary: 'Folds the log from zero and compares every row with the live read models.',
    run: replay,
  },
]

async function rootFile(given: Given): Promise<number> {
  const path = argument(given, 0, 'file')
  const day = option(given, 'day')
  const kept = await withDatabase((database) => readRoot(database.profile().objects, day))
  if (!kept) throw new CliError(`There is no root of ${day ?? 'any day'} yet.`)
  const file = await newFile(path)
  try {
    await file.appendFile(kept.text)
    await file.sync()
  } finally {
    await file.close()
  }
  const { root } = kept
  say(`Where ${root.accounts.length} accounts stood on ${root.day} is in ${path}.`)
  say(`Its hash is ${root.hash}; that of the root before it ${root.prev}.`)
  return 0
}

async function rootIn(path: string | undefined) {
  if (path === undefined) return null
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new CliError(`${path} cannot be read: ${String(error)}`)
  })
  const root = parseRoot(text)
  if (!root) throw new CliError(`${path} is no audit root, or was changed.`)
  return root
}

async function verifyFile(given: Given): Promise<number> {
  const path = argument(given, 0, 'file')
  const root = await rootIn(option(given, 'root'))
  const verdict = await verifyExport(createReadStream(path), root).catch((error: unknown) => {
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
  if (isSet(given, 'live') && !(await isLiveSame(accounts))) return 1
  say(`Good: ${events} events in ${streams} streams, ${accounts.length} of them accounts.`)
  if (root) say(`All that the root of ${root.day} has is there, unchanged.`)
  say(`Its hash is ${hash}.`)
  return 0
}

/** Whether the live log still has what was exported, and its ledger says the same. */
async function isLiveSame(exported: readonly ChainHead[]): Promise<boolean> {
  const wrong = await withDatabase((database, { publicUrl }) => {
    const { newFeed, readModels: store } = database.profile()
    const ledger = { store, projections: projections({ publicUrl, alarm: () => undefined }) }
    return compareLive(newFeed(), ledger, exported)
  })
  for (const { subject, detail } of wrong) say(`BAD: in the live log, ${subject}: ${detail}.`)
  return wrong.length === 0
}

function placeOf({ line, n, stream, revision }: BadEvent): string {
  const event = stream === null ? '' : `, ${stream} revision ${revision ?? 'unknown'}`
  return `line ${line}${n === null ? '' : `, event number ${n}`}${event}`
}

async function replay(): Promise<number> {
  return withDatabase(async (database, { publicUrl }) => {
    const { newFeed, readModels: store, partitions } = database.profile()
    const report = await replayAudit({
      ...{ feed: newFeed(), store, scratch: database.scratch() },
      projections: projections({ publicUrl, alarm: sayHole }),
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
