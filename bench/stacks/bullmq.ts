import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { members, text } from '../json.ts'
import { freePorts } from '../../test/support/free-ports.ts'
import { query, startPostgres } from '../postgres.ts'
import { ready, start } from '../processes.ts'
import type { Running } from '../processes.ts'
import { grantMicro, jobBody } from '../stack.ts'
import type { JobSignal, Org, Stack, StackFactory } from '../stack.ts'

const redisCommand = 'redis-server'

/** Whether the peer can run here: Redis comes from the system, not from npm. */
export function redisIsInstalled(): boolean {
  return spawnSync(redisCommand, ['--version'], { stdio: 'ignore' }).status === 0
}

/** Fastify + BullMQ on Redis + a Postgres balance, in `folder` of this repository. */
export function bullmqPeer(repository: string): StackFactory {
  const app = join(repository, 'bench', 'peers', 'bullmq')
  return { name: 'bullmq', start: (folder, orgCount) => startPeer(app, folder, orgCount) }
}

async function startPeer(app: string, folder: string, orgCount: number): Promise<Stack> {
  installPeer(app)
  const postgres = await startPostgres(folder)
  const redis = await startRedis(folder)
  await query(postgres.url, readFileSync(join(app, 'schema.sql'), 'utf8'))
  const orgs = await createOrgs(postgres.url, orgCount)
  const port = await freePorts()
  const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, PORT: String(port) }
  const node = (name: string): Running =>
    start({
      name: `peer-${name}`,
      command: process.execPath,
      args: [join(app, `${name}.js`)],
      cwd: app,
      env,
      logFolder: folder,
    })
  const [api, worker] = [node('api'), node('worker')]
  const baseUrl = `http://127.0.0.1:${String(port)}`
  await Promise.race([ready(`${baseUrl}/readyz`, api), worker.died])
  return {
    name: 'bullmq',
    baseUrl,
    orgs,
    paths: { submit: '/jobs', batch: '/jobs/batch', balance: '/balance' },
    accept: { path: '/add', body: jobBody },
    socketPath: '/socket',
    readUpdate,
    databaseUrl: postgres.url,
    processes: [api, worker, redis.server, postgres.server],
    label,
  }
}

/** The peer's own dependencies, never part of weir's; installed on first use. */
export function installPeer(app: string): void {
  if (existsSync(join(app, 'node_modules', '.package-lock.json'))) return
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: app,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

export async function startRedis(folder: string): Promise<{ url: string; server: Running }> {
  const data = join(folder, 'redis')
  mkdirSync(data)
  const port = await freePorts()
  const server = start({
    name: 'redis',
    command: redisCommand,
    // What BullMQ's guide to production asks for: append-only file, fsync each second, no eviction.
    args: [
      ['--port', String(port), '--bind', '127.0.0.1', '--dir', data, '--save', ''],
      ['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
    ].flat(),
    logFolder: folder,
  })
  return { url: `redis://127.0.0.1:${String(port)}`, server }
}

async function createOrgs(databaseUrl: string, count: number): Promise<Org[]> {
  const orgs = Array.from({ length: count }, () => ({
    orgId: randomUUID(),
    token: randomBytes(32).toString('base64url'),
  }))
  const hashes = orgs.map(({ token }) => createHash('sha256').update(token).digest())
  const ids = orgs.map(({ orgId }) => orgId)
  const account = `INSERT INTO accounts (org_id, name, available)
    SELECT id, 'bench', $2 FROM unnest($1::uuid[]) id`
  await query(databaseUrl, account, [ids, String(grantMicro)])
  const key = `INSERT INTO api_keys (key_hash, org_id)
    SELECT hash, id FROM unnest($1::bytea[], $2::uuid[]) k (hash, id)`
  await query(databaseUrl, key, [hashes, ids])
  return orgs
}

function readUpdate(update: unknown): JobSignal | null {
  const jobId = text(update, 'jobId')
  switch (members(update, 'update').status) {
    case 'running':
      return { jobId, kind: 'started' }
    case 'succeeded':
      return { jobId, kind: 'succeeded' }
    default:
      return { jobId, kind: 'failed' }
  }
}

function label(title: string): string | null {
  if (title.startsWith('peer-')) return title.slice('peer-'.length)
  if (title.includes('redis-server')) return 'redis'
  if (/postgres/.test(title)) return 'postgres'
  return null
}
