import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { members, parse, text } from '../json.ts'
import { freePort } from '../ports.ts'
import { startPostgres } from '../postgres.ts'
import { ready, start } from '../processes.ts'
import { grantMicro, jobBody } from '../stack.ts'
import type { JobSignal, Org, Stack, StackFactory } from '../stack.ts'

/** weir as built in `repository`, as an installation of its own. */
export function weir(repository: string): StackFactory {
  const main = join(repository, 'dist', 'src', 'main.js')
  return { name: 'weir', start: (folder, orgCount) => startWeir(main, folder, orgCount) }
}

async function startWeir(main: string, folder: string, orgCount: number): Promise<Stack> {
  if (!existsSync(main)) throw new Error(`weir is not built: ${main} does not exist`)
  const home = join(folder, 'weir')
  mkdirSync(home)
  const postgres = await startPostgres(folder)
  const port = await freePort()
  const server = start({
    name: 'weir',
    command: process.execPath,
    args: [main],
    env: {
      WEIR_HOME: home,
      WEIR_PORT: String(port),
      WEIR_METRICS_PORT: String(await freePort(3)),
      DATABASE_URL: postgres.url,
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
    name: 'weir',
    baseUrl,
    orgs,
    paths: { submit: '/v1/jobs', batch: '/v1/jobs/batch', balance: '/v1/balance' },
    accept: { path: '/v1/jobs', body: { ...jobBody, runAt: tomorrow() } },
    socketPath: '/v1/socket',
    readUpdate,
    databaseUrl: postgres.url,
    processes: [server, postgres.server],
    label,
  }
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

function readUpdate(update: unknown): JobSignal | null {
  const { type, job } = members(update, 'update')
  switch (type) {
    case 'job.started':
      return { jobId: text(job, 'jobId'), kind: 'started' }
    case 'job.succeeded':
      return { jobId: text(job, 'jobId'), kind: 'succeeded' }
    case 'job.failed':
    case 'job.canceled':
    case 'job.expired':
      return { jobId: text(job, 'jobId'), kind: 'failed' }
    default:
      return null
  }
}

function label(title: string): string | null {
  const role = /^weir-(api|worker|projector)\b/.exec(title)?.[1]
  if (role) return role
  if (/postgres/.test(title)) return 'postgres'
  return 'parent'
}
