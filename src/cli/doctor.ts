import type { RecordedEvent } from '../../domain/envelope.ts'
import type { Projection } from '../../projections/projection.ts'
import { projections } from '../../projections/registry.ts'
import { replayAudit } from '../../workers/audit/replay.ts'
import { checkInvariants } from '../../workers/invariants.ts'
import { readConfig, webhooksKeptMs } from '../config.ts'
import type { Config } from '../config.ts'
import type { ToolDatabase } from '../profiles/tool.ts'
import { getStand } from '../queries/get-stand.ts'
import { isSet, say } from './command.ts'
import type { Command, Given } from './command.ts'
import { withDatabase } from './database.ts'
import { checkDatabase, checkHome, checkProcesses, checkStand } from './doctor-checks.ts'
import type { Finding } from './doctor-checks.ts'
import { verifyCounters } from './doctor-counters.ts'

/** Commands that look whether all is well. */
export const doctorCommands: readonly Command[] = [
  {
    name: 'doctor',
    usage: '[--verify] [--live]',
    summary: 'Looks whether all is well; --verify checks every event and result by arithmetic.',
    options: {
      verify: {
        type: 'boolean',
        about: 'checks the whole log, results and read models; takes long',
      },
      live: { type: 'boolean', about: 'with --verify: jobs are under way, which is no fault' },
    },
    run: doctor,
  },
]

const marks = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const

function show({ verdict, about, detail }: Finding): void {
  say(`${marks[verdict]}  ${about.padEnd(12)} ${detail}`)
}

async function doctor(given: Given): Promise<number> {
  const findings: Finding[] = []
  const note = (found: readonly Finding[]): void => {
    for (const finding of found) show(finding)
    findings.push(...found)
  }
  note(await checkHome(readConfig()))
  await withDatabase(async (database, config) => {
    const found = await checkDatabase(database)
    note(found)
    const processes = await checkProcesses(config)
    note(processes)
    if (found.some(({ verdict }) => verdict === 'fail')) return
    note(checkStand(await getStand({ ...database.profile(), projections: all(config) })))
    if (!isSet(given, 'verify')) return
    const isRunning = processes.some(
      ({ verdict, about }) => verdict === 'ok' && about === 'projector',
    )
    note(await verify(database, config, { isRunning, isLive: isSet(given, 'live') }))
    note([await verifyReadModels(database, config.publicUrl)])
    // Where something carries the log several projectors share it, and each counts its own shares.
    const isOne = isRunning && database.profile().carriage === null
    if (isOne && !isSet(given, 'live')) note(await verifyCounters(database, config))
  })
  const failures = findings.filter(({ verdict }) => verdict === 'fail').length
  say()
  say(failures === 0 ? 'Nothing is wrong.' : `${failures} checks failed.`)
  return failures === 0 ? 0 : 1
}

function all({ publicUrl }: Pick<Config, 'publicUrl'>): readonly Projection[] {
  return projections({ publicUrl, alarm: () => undefined })
}

/** I9: the log folded from zero gives exactly the live read models. */
async function verifyReadModels(database: ToolDatabase, publicUrl: string): Promise<Finding> {
  const { newFeed, readModels: store, partitions } = database.profile()
  const holes: string[] = []
  const alarm = ({ stream }: { readonly stream: string }): void => void holes.push(stream)
  const { tables, differing, differences } = await replayAudit({
    ...{ feed: newFeed(), store, scratch: database.scratch() },
    projections: projections({ publicUrl, alarm }),
    shareOf: (event) => partitions.shareOf(event),
  })
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  const about = 'I9'
  if (differing === 0 && holes.length === 0) {
    return { verdict: 'ok', about, detail: `${rows} rows are what the log gives` }
  }
  const [first] = differences
  const where = first ? `, the first in ${first.table} ${first.key}` : ''
  const detail = `${differing} rows differ from the log${where}; see \`weir audit replay\``
  return { verdict: 'fail', about, detail }
}

type Situation = {
  /** Somebody sends webhooks and follows the log. */
  readonly isRunning: boolean
  /** Jobs are under way, rightly. */
  readonly isLive: boolean
}

async function verify(
  database: ToolDatabase,
  config: Config,
  { isRunning, isLive }: Situation,
): Promise<readonly Finding[]> {
  const { newFeed, objects, readModels: store, deliveries, clock, partitions } = database.profile()
  const readModels = {
    ...{ store, deliveries, nowMs: clock.now(), isSending: isRunning },
    deliveriesKeptMs: webhooksKeptMs(config),
    projections: all(config),
    shareOf: (event: RecordedEvent) => partitions.shareOf(event),
  }
  const report = await checkInvariants({
    ...{ feed: newFeed(), objects, readModels, isDrained: !isLive },
  })
  const { events, jobs, liveJobs, accounts, results, rows, violations, count } = report
  const seen = `${events} events, ${jobs} jobs (${liveJobs} live), ${accounts} accounts`
  if (count === 0) {
    const detail = `${seen}, ${results} results, ${rows} rows: every invariant holds`
    return [{ verdict: 'ok', about: 'invariants', detail }]
  }
  const told = violations.map(({ invariant, subject, detail }) => ({
    verdict: 'fail' as const,
    about: invariant,
    detail: `${subject}: ${detail}`,
  }))
  const hint = liveJobs > 0 && !isLive ? '; with jobs under way use --live' : ''
  const total = { verdict: 'fail' as const, about: 'invariants' }
  return [...told, { ...total, detail: `${seen}: ${count} violations${hint}` }]
}
