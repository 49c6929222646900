import { checkInvariants } from '../../workers/invariants.ts'
import { readConfig } from '../config.ts'
import type { ToolDatabase } from '../profiles/tool.ts'
import { getStand } from '../queries/get-stand.ts'
import { isSet, say } from './command.ts'
import type { Command, Given } from './command.ts'
import { withDatabase } from './database.ts'
import { checkDatabase, checkHome, checkProcesses, checkStand } from './doctor-checks.ts'
import type { Finding } from './doctor-checks.ts'

/** Commands that look whether all is well. */
export const doctorCommands: readonly Command[] = [
  {
    name: 'doctor',
    usage: '[--verify] [--live]',
    summary: 'Looks whether all is well; --verify checks every event and result by arithmetic.',
    options: { verify: { type: 'boolean' }, live: { type: 'boolean' } },
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
    note(await checkProcesses(config))
    if (found.some(({ verdict }) => verdict === 'fail')) return
    note(checkStand(await getStand(database.profile().sql)))
    if (isSet(given, 'verify')) note(await verify(database, isSet(given, 'live')))
  })
  const failures = findings.filter(({ verdict }) => verdict === 'fail').length
  say()
  say(failures === 0 ? 'Nothing is wrong.' : `${failures} checks failed.`)
  return failures === 0 ? 0 : 1
}

async function verify(database: ToolDatabase, isLive: boolean): Promise<readonly Finding[]> {
  const { newFeed, objects } = database.profile()
  const report = await checkInvariants({ feed: newFeed(), objects, isDrained: !isLive })
  const { events, jobs, liveJobs, accounts, results, violations, count } = report
  const seen = `${events} events, ${jobs} jobs (${liveJobs} live), ${accounts} accounts`
  if (count === 0) {
    const detail = `${seen}, ${results} results: every invariant holds`
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
