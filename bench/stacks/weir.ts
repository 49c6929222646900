import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { onCleanup } from '../cleanup.ts'
import { members, parse, text } from '../json.ts'
import { freePorts } from '../../test/support/free-ports.ts'
import { startPostgres } from '../postgres.ts'
import { ownChildren, ready, start } from '../processes.ts'
import type { Running } from '../processes.ts'
import { grantMicro, jobBody } from '../stack.ts'
import type { JobSignal, Org, Stack, StackFactory } from '../stack.ts'
import { ownClusterEngines } from '../../test/support/cluster-engines.ts'
import { fetchEnginePrograms } from '../../test/support/engine-programs.ts'

/** weir as built in `repository`, as an installation of its own. */
export function weir(repository: string): StackFactory {
  const start = (folder: string, orgCount: number): Promise<Stack> =>
    startWeir({ name: 'weir', repository, folder, orgCount, engines: noEngines })
  return { name: 'weir', start }
}

/**
 * The same on Kafka, S3 and EventStoreDB, which is the stand-in of the tests where no real one was
 * given. Each engine is one process on this machine.
 */
export function weirCluster(repository: string): StackFactory {
  const name = 'weir-cluster'
  const start = async (folder: string, orgCount: number): Promise<Stack> =>
    startWeir({ name, repository, folder, orgCount, engines: await startEngines() })
  return { name, start }
}

type Engines = { readonly env: Readonly<Record<string, string>>; readonly pids: readonly number[] }

const noEngines: Engines = { env: {}, pids: [] }

async function startEngines(): Promise<Engines> {
  await fetchEnginePrograms()
  const before = new Set(ownChildren())
  const engines = await ownClusterEngines()
  onCleanup('engines', () => engines.stop())
  const { env } = engines
  return { env, pids: ownChildren().filter((pid) => !before.has(pid)) }
}

type Start = {
  readonly name: string
  readonly repository: string
  readonly folder: string
  readonly orgCount: number
  readonly engines: Engines
}

async function startWeir({ name, repository, folder, orgCount, engines }: Start): Promise<Stack> {
  const main = join(repository, 'dist', 'src', 'main.js')
  if (!existsSync(main)) throw new Error(`weir is not built: ${main} does not exist`)
  const home = join(folder, 'weir')
  mkdirSync(home)
  const postgres = await startPostgres(folder)
  const port = await freePorts()
  const server = start({
    name: 'weir',
    command: process.execPath,
    args: [main],
    env: {
      WEIR_HOME: home,
      WEIR_PORT: String(port),
      WEIR_METRICS_PORT: String(await freePorts(3)),
      DATABASE_URL: postgres.url,
      ...engines.env,
    },
    logFolder: folder,
  })
  const baseUrl = `http://127.0.0.1:${String(port)}`
  await ready(`${baseUrl}/readyz`, server)
  const adminToken = text(parse(readFileSync(join(home, 'dev.json'), 'utf8')), 'adminToken')
  const orgs: Org[] = []
  for (let number = 1; number <= orgCount; number++) {
    orgs.push(await createOrg(baseUrl, adminToken, `bench ${String(number)}`))
  }
  return {
    name,
    baseUrl,
    orgs,
    paths: { submit: '/v1/jobs', batch: '/v1/jobs/batch', balance: '/v1/balance' },
    accept: { path: '/v1/jobs', body: { ...jobBody, runAt: tomorrow() } },
    socketPath: '/v1/socket',
    readUpdate,
    databaseUrl: postgres.url,
    processes: [server, postgres.server, ...engines.pids.map(running)],
    label,
  }
}

/** Whoever misses an engine hears it from weir. */
function running(pid: number): Running {
  return { pid, died: new Promise<never>(() => undefined) }
}

const dayMs = 86_400_000

function tomorrow(): string {
  return new Date(Date.now() + dayMs).toISOString()
}

async function createOrg(baseUrl: string, adminToken: string, name: string): Promise<Org> {
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const response = await fetch(`${baseUrl}/v1/admin${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = await response.text()
    if (response.status !== 201) {
      throw new Error(`POST /v1/admin${path}: ${String(response.status)} ${answer}`)
    }
    return parse(answer)
  }
  const orgId = text(await post('/orgs', { name }), 'orgId')
  const token = text(await post(`/orgs/${orgId}/keys`, { name: 'bench' }), 'apiKey')
  const grant = { amount: String(grantMicro), kind: 'promo', reason: 'benchmark' }
  await post(`/orgs/${orgId}/grants`, grant)
  return { orgId, token }
}

const kinds: ReadonlyMap<string, JobSignal['kind']> = new Map([
  ['job.started', 'started'],
  ['job.succeeded', 'succeeded'],
  ['job.failed', 'failed'],
  ['job.canceled', 'failed'],
  ['job.expired', 'failed'],
])

function readUpdate(update: unknown): JobSignal | null {
  const { type, job } = members(update, 'update')
  const kind = typeof type === 'string' ? kinds.get(type) : undefined
  if (kind === undefined) return null
  return { jobId: text(job, 'jobId'), kind, atMs: Date.parse(text(update, 'at')) }
}

function label(title: string): string | null {
  const role = /^weir-(api|worker|projector)\b/.exec(title)?.[1]
  if (role) return role
  if (/postgres/.test(title)) return 'postgres'
  if (/java$/.test(title)) return 'kafka'
  if (/versitygw/.test(title)) return 's3'
  if (/node$/.test(title)) return 'eventstoredb'
  return 'parent'
}
