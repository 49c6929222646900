import { existsSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { localUrl, metricsPortOf, roles, withoutPassword } from '../config.ts'
import type { Config } from '../config.ts'
import type { ToolDatabase } from '../profiles/tool.ts'
import type { Stand } from '../queries/get-stand.ts'
import { readDevFile } from '../supervisor/dev-file.ts'
import { version } from '../version.ts'

/** What the doctor found of one thing. */
export type Finding = {
  readonly verdict: 'ok' | 'warn' | 'fail'
  readonly about: string
  readonly detail: string
}

const ok = (about: string, detail: string): Finding => ({ verdict: 'ok', about, detail })
const warn = (about: string, detail: string): Finding => ({ verdict: 'warn', about, detail })
const fail = (about: string, detail: string): Finding => ({ verdict: 'fail', about, detail })

const freeBytesLow = 2_000_000_000
const freeBytesMin = 200_000_000
const requestLimitMs = 2_000
/** Read models are normally well under a second behind. */
const lagMsHigh = 10_000
const queueAgeMsHigh = 60_000

/** Versions, private files and disk space of the home. */
export async function checkHome({ home }: Config): Promise<readonly Finding[]> {
  const versions = `weir ${version}, Node ${process.versions.node}`
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isNew = major > 20 || (major === 20 && minor >= 19)
  const findings = [isNew ? ok('versions', versions) : fail('versions', `${versions}: too old`)]
  if (!existsSync(home)) return [...findings, warn('home', `there is no ${home}`)]
  for (const name of ['secret.key', 'dev.json']) {
    const finding = checkPrivate(join(home, name))
    if (finding) findings.push(finding)
  }
  const { bavail, bsize } = await statfs(home)
  const free = bavail * bsize
  const detail = `${(free / 1e9).toFixed(1)} GB free in ${home}`
  if (free < freeBytesMin) findings.push(fail('disk', detail))
  else findings.push(free < freeBytesLow ? warn('disk', detail) : ok('disk', detail))
  return findings
}

function checkPrivate(file: string): Finding | undefined {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode
  if (mode === undefined) return undefined
  if ((mode & 0o077) === 0) return ok('secrets', `${file} is its owner's alone`)
  const octal = (mode & 0o777).toString(8)
  return fail('secrets', `${file} has mode ${octal}: others may read it; chmod 600 it`)
}

/** The server, and whether the schema is the one that this weir brings. */
export async function checkDatabase(database: ToolDatabase): Promise<readonly Finding[]> {
  const { sql } = database.profile()
  const [server] = await sql<{ version: string }>(
    'doctor-version',
    `SELECT current_setting('server_version') AS version`,
    [],
  )
  const where = withoutPassword(database.url)
  const state = database.isStartedHere ? ', started for this command' : ''
  const findings = [ok('database', `PostgreSQL ${server?.version ?? '?'} at ${where}${state}`)]
  const { applied, missing, unknown } = await database.migrations()
  if (missing.length > 0) {
    findings.push(fail('migrations', `missing: ${missing.join(', ')}; run \`weir migrate\``))
  } else if (unknown.length > 0) {
    findings.push(warn('migrations', `of a newer weir: ${unknown.join(', ')}`))
  } else findings.push(ok('migrations', `all ${applied.length} are applied`))
  return findings
}

/** Whether the api can serve, and each role answers on its metrics port. */
export async function checkProcesses(config: Config): Promise<readonly Finding[]> {
  const base = readDevFile(config.home)?.baseUrl ?? localUrl(config.host, config.port)
  const status = await statusOf(`${base}/readyz`)
  if (status === null) return [warn('api', `nothing answers at ${base}: weir does not run`)]
  const findings = [
    status === 200 ? ok('api', `ready at ${base}`) : fail('api', `${base}/readyz says ${status}`),
  ]
  for (const role of roles) {
    const port = metricsPortOf(config, role)
    const isUp = (await statusOf(`${localUrl(config.host, port)}/healthz`)) === 200
    const detail = `metrics on port ${port}`
    // The launcher moves metrics ports that nobody chose out of the way.
    findings.push(isUp ? ok(role, detail) : warn(role, `no ${detail}`))
  }
  return findings
}

async function statusOf(url: string): Promise<number | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(requestLimitMs) })
    await response.body?.cancel()
    return response.status
  } catch {
    return null
  }
}

/** Whether read models, queue and holds are as they should be. */
export function checkStand({ queue, holds, driftMicro, consumers }: Stand): readonly Finding[] {
  const behind = consumers.filter(({ events, oldestMs }) => events > 0 && oldestMs > lagMsHigh)
  const findings = behind.map(({ name, events, oldestMs }) =>
    warn('lag', `${name} is ${events} events and ${seconds(oldestMs)} behind`),
  )
  if (behind.length === 0) {
    findings.push(ok('lag', `${consumers.length} readers of the log are up to date`))
  }
  const late = queue.filter(
    ({ state, oldestMs }) => state === 'queued' && oldestMs > queueAgeMsHigh,
  )
  for (const { jobType, count, oldestMs } of late) {
    findings.push(warn('queue', `${count} of ${jobType} wait, the oldest ${seconds(oldestMs)}`))
  }
  if (late.length === 0) {
    const live = queue.reduce((sum, { count }) => sum + count, 0)
    findings.push(ok('queue', `${live} live jobs, none waits long`))
  }
  const drift = `${holds.count} holds open`
  findings.push(
    driftMicro === 0
      ? ok('books', `${drift}, accounts and holds agree`)
      : fail('books', `${drift}, accounts and holds differ by ${driftMicro} micro-credits`),
  )
  return findings
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
