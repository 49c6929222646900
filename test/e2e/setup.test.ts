import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { DevFile } from '../../src/supervisor/dev-file.ts'
import { requireBuilt } from '../support/build.ts'
import { Client, sandbox } from '../support/client.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { freePorts } from '../support/free-ports.ts'
import { openRaw } from '../support/raw-http.ts'
import { waitFor } from '../support/wait-for.ts'

const compiled = (name: string) =>
  fileURLToPath(new URL(`../../dist/src/${name}.js`, import.meta.url))

let database: TestDatabase
let home: string
let env: Record<string, string>
let roles: ChildProcess | undefined

beforeAll(async () => {
  requireBuilt()
  database = await testDatabase()
  home = mkdtempSync(join(tmpdir(), `weir-test-${process.pid}-setup-`))
  const port = await freePorts(4)
  env = {
    PATH: process.env['PATH'] ?? '',
    DATABASE_URL: database.url,
    WEIR_HOME: join(home, 'new'),
    WEIR_PORT: String(port),
    WEIR_METRICS_PORT: String(port + 1),
    WEIR_DRAIN_MS: '500',
  }
})

afterAll(async () => {
  if (roles) {
    const ended = once(roles, 'exit')
    roles.kill('SIGTERM')
    await ended
  }
  await database.close()
  rmSync(home, { recursive: true })
}, 30_000)

const setup = async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [compiled('cli'), 'setup'], {
    env,
  })
  return stdout
}
const dev = () => JSON.parse(readFileSync(join(home, 'new', 'dev.json'), 'utf8')) as DevFile

test('setup makes all that roles need which no launcher starts', async () => {
  expect(await setup()).toMatch(/^weir is set up; .*dev\.json holds the first credentials\.\n$/)
  const WEIR_ROLES = 'api,worker,projector'
  roles = spawn(process.execPath, [compiled('main')], { env: { ...env, WEIR_ROLES } })
  const { baseUrl, apiKey } = dev()
  const isReady = async () => (await fetch(`${baseUrl}/readyz`).catch(() => null))?.ok
  await waitFor('the roles to be ready', isReady)
  const job = await new Client(baseUrl, apiKey).run(sandbox({ steps: 1, stepMs: 0 }))
  expect(job.status).toBe('succeeded')
})

test('setup again changes nothing', async () => {
  const before = dev()
  await setup()
  expect(dev()).toEqual(before)
})

test('roles that share a process all give back their work before it ends', async () => {
  const { baseUrl, apiKey } = dev()
  const client = new Client(baseUrl, apiKey)
  const { jobId } = await client.submit(sandbox({ steps: 1_000, stepMs: 100 }))
  await client.until(jobId, 'running')
  const ended = roles && once(roles, 'exit')
  roles?.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  const { rows } = await database.pool.query<{ type: string; data: string }>(
    'SELECT type, data FROM weir.event WHERE stream = $1 ORDER BY revision DESC LIMIT 1',
    [`job-${jobId}`],
  )
  expect(rows[0]?.type).toBe('JobRetryScheduled')
  expect(JSON.parse(rows[0]?.data ?? '')).toMatchObject({ reason: 'shutdown' })
  roles = undefined
}, 30_000)

test('a role that is told to stop while it starts serves nobody while others end', async () => {
  const holder = await database.pool.connect()
  await holder.query('BEGIN; LOCK TABLE weir.projection_checkpoint')
  const more = { WEIR_ROLES: 'api,projector', WEIR_DRAIN_MS: '20000' }
  roles = spawn(process.execPath, [compiled('main')], { env: { ...env, ...more } })
  const ended = once(roles, 'exit')
  let told = ''
  roles.stdout?.on('data', (data: Buffer) => (told += data.toString()))
  const says = (role: string, msg: string) => {
    const lines = told.split('\n').filter((line) => line.includes(`"role":"${role}"`))
    return lines.some((line) => line.includes(`"msg":"${msg}"`))
  }
  await waitFor('the api to serve', () => says('api', 'serving'))
  const slow = await openRaw(dev().baseUrl)
  const headers = 'host: a\r\ncontent-type: application/json\r\nexpect: 100-continue'
  slow.socket.write(`POST /v1/jobs HTTP/1.1\r\n${headers}\r\ncontent-length: 9\r\n\r\n`)
  await waitFor('the api to wait for the body', () => slow.text.includes('100 Continue'))
  roles.kill('SIGTERM')
  await waitFor('the projector to hear of it', () => says('projector', 'stopping'))
  await holder.query('COMMIT')
  holder.release()
  const isOver = () => says('projector', 'stopped') || says('projector', 'serving')
  await waitFor('the projector to have started', isOver)
  expect(says('projector', 'serving')).toBe(false)
  slow.socket.destroy()
  expect(await ended).toEqual([0, null])
  roles = undefined
})
