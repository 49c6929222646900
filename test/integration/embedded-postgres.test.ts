import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { appendFile, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import pg from 'pg'
import { checkDatabase } from '../../infra/embedded-postgres/check-database.ts'
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from '../../infra/embedded-postgres/embedded-postgres.ts'
import { prepareBinaries } from '../../infra/embedded-postgres/binaries.ts'
import { clusterNameOf, isServing, readPidFile } from '../../infra/embedded-postgres/leftovers.ts'
import { rotateLog } from '../../infra/embedded-postgres/log-file.ts'
import { openSite } from '../../infra/embedded-postgres/place.ts'
import { commandLine, launch, stopServer } from '../../infra/embedded-postgres/server.ts'
import { waitFor } from '../support/wait-for.ts'

// Small, so that a machine that runs many tests at once has room.
const settings = { shared_buffers: '16MB' }

let root: string
/** Made by the first test that starts a server, and used by all that do not need a fresh one. */
let home: string
let servers: EmbeddedPostgres[]

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weir-postgres-'))
  await chmod(root, 0o755)
  home = join(root, 'home')
})

beforeEach(() => {
  servers = []
})

afterEach(async () => {
  await Promise.all(servers.map(async (server) => await server.stop()))
})

afterAll(async () => {
  await rm(root, { recursive: true })
}, 60_000)

async function start(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ home, settings, ...options })
  servers.push(server)
  return server
}

function placeOf(folder: string): string | undefined {
  const file = join(folder, 'postgres.json')
  if (!existsSync(file)) return undefined
  return (JSON.parse(readFileSync(file, 'utf8')) as { folder: string }).folder
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

test('a fresh home gets a durable, closed server, and keeps its data over a restart', async () => {
  const first = await start()
  const [facts] = await query(
    first.url,
    `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commits,
            current_setting('listen_addresses') AS address, current_database() AS name,
            current_setting('server_encoding') AS encoding, lower('Ä') AS lower`,
  )
  expect(facts).toEqual({
    fsync: 'on',
    commits: 'on',
    address: '127.0.0.1',
    name: 'weir',
    encoding: 'UTF8',
    lower: 'ä',
  })
  expect(statSync(join(home, 'postgres.password')).mode & 0o777).toBe(0o600)
  const wrong = first.url.replace(/:[^:@]+@/, ':wrong@')
  await expect(query(wrong, 'SELECT 1')).rejects.toThrow(/password authentication failed/)
  await query(first.url, 'CREATE TABLE restarted (id int)')
  await first.stop()
  await expect(first.exited).resolves.toEqual({ code: 0, signal: null })

  const second = await start()
  expect(second.url).toBe(first.url)
  expect(second.adopted).toBe(false)
  expect(await query(second.url, 'SELECT count(*) AS count FROM restarted')).toEqual([
    { count: '0' },
  ])
}, 60_000)

test('a home below a folder of mode 700 works; a copy of it shares nothing', async () => {
  const closed = join(root, 'closed')
  await mkdir(closed, { mode: 0o700 })
  const closedHome = join(closed, 'home')
  const server = await start({ home: closedHome })
  expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  const folder = placeOf(closedHome) ?? ''
  const copy = join(closed, 'copy')
  if (process.getuid?.() !== 0) return expect(folder).toBe('postgres')
  try {
    expect(folder).toMatch(/^\/var\/lib\/weir\/[0-9a-f]{16}$/)
    execFileSync('cp', ['-r', closedHome, copy])
    await expect(start({ home: copy })).rejects.toThrow(/is a copy of/)
  } finally {
    await server.stop()
    await rm(folder, { recursive: true })
  }
}, 60_000)

test('a server that is still running is adopted, by the same settings only', async () => {
  const first = await start()
  const second = await start()
  expect(second).toMatchObject({ adopted: true, pid: first.pid, url: first.url })
  const third = await start({ settings: { ...settings, jit: 'on' } })
  expect(third.adopted).toBe(false)
  await first.exited
  await second.exited
  expect(await query(third.url, 'SHOW jit')).toEqual([{ jit: 'on' }])
}, 60_000)

test('after kill -9 with a backend at work the next start works', async () => {
  const first = await start()
  await query(first.url, 'CREATE TABLE kept AS SELECT 7 AS id')
  const busy = query(first.url, `DO 'BEGIN LOOP END LOOP; END'`).catch(() => undefined)
  await waitFor('the busy backend', async () => {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'`
    return (await query(first.url, sql)).length > 0
  })
  process.kill(first.pid, 'SIGKILL')
  expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' })

  const second = await start()
  expect(second.adopted).toBe(false)
  expect(await query(second.url, 'SELECT id FROM kept')).toEqual([{ id: 7 }])
  await busy
}, 60_000)

test('a process number that somebody else has by now does not stand in the way', async () => {
  const first = await start()
  await first.stop()
  const data = join(home, 'postgres', 'data')
  await writeFile(join(data, 'postmaster.pid'), `${process.pid}\n${data}\n0\n1\n\n\n\n`)
  const second = await start()
  expect(second.adopted).toBe(false)
}, 60_000)

test('a number that a crash kept from being written does not stand in the way', async () => {
  await (await start()).stop()
  await writeFile(join(home, 'postgres', 'data', 'postmaster.pid'), '')
  expect((await start()).adopted).toBe(false)
}, 60_000)

test('a server whose program is in a folder with a space in its name is recognised', async () => {
  const flags = ['-e', 'process.stdin.resume()', 'cluster_name=weir_1']
  for (const [argv0, isServer] of [
    ['/home/a user/native/bin/postgres', true],
    ['postgres: weir_1: checkpointer', true],
    ['/home/a user/postgres/tool', false],
  ] as const) {
    const child = spawn(process.execPath, flags, { argv0, stdio: ['pipe', 'ignore', 'ignore'] })
    await new Promise((resolve) => child.once('spawn', resolve))
    expect(await isServing(child.pid ?? 0, 'weir_1')).toBe(isServer)
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.stdin.end()
    await exited
  }
}, 60_000)

test('a remembered port that is busy is replaced by another one', async () => {
  const first = await start()
  await first.stop()
  const blocker = createServer().listen(Number(new URL(first.url).port), '127.0.0.1')
  await new Promise((resolve) => blocker.once('listening', resolve))
  try {
    const second = await start()
    expect(new URL(second.url).port).not.toBe(new URL(first.url).port)
    expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  } finally {
    await new Promise((resolve) => blocker.close(resolve))
  }
}, 60_000)

test('a port that is taken at the last moment is replaced by another one', async () => {
  await (await start()).stop()
  const site = await openSite(home)
  const binaries = await prepareBinaries(site.binaryStore, site.account)
  const blocker = createServer()
  let taken = 0
  const server = await launch(site, 0, async (port) => {
    if (taken === 0) {
      taken = port
      await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve))
    }
    return await commandLine(site, binaries, { port, settings })
  })
  await stopServer(server.pid, await clusterNameOf(site.dataFolder))
  await new Promise((resolve) => blocker.close(resolve))
  expect(server.port).not.toBe(taken)
}, 60_000)

test('a server whose database cannot be opened does not stay behind', async () => {
  const first = await start()
  await first.stop()
  const passwordFile = join(home, 'postgres.password')
  const password = readFileSync(passwordFile)
  await writeFile(passwordFile, 'another')
  await expect(start()).rejects.toThrow(/password authentication failed/)
  expect(existsSync(join(home, 'postgres', 'data', 'postmaster.pid'))).toBe(false)
  await writeFile(passwordFile, password)
  expect((await start()).adopted).toBe(false)
}, 60_000)

test('a start that is given up leaves no server', async () => {
  const given = startEmbeddedPostgres({ home, settings, signal: AbortSignal.abort() })
  await expect(given).rejects.toThrow('aborted')
  const { dataFolder } = await openSite(home)
  const pidFile = await readPidFile(dataFolder)
  expect(pidFile).toBeUndefined()
  await start()
})

test('a log that has grown large is put aside while the server goes on writing to it', async () => {
  const server = await start()
  const { logFile } = await openSite(home)
  await appendFile(logFile, 'x'.repeat(10_000_001))
  await rotateLog(logFile)
  await expect(query(server.url, 'SELECT 1 FROM nothing')).rejects.toThrow('does not exist')
  await waitFor('the next line', () => readFileSync(logFile, 'utf8').includes('nothing'))
  expect(statSync(logFile).size).toBeLessThan(10_000)
  expect(statSync(`${logFile}.1`).size).toBeGreaterThan(10_000_000)
  await rotateLog(logFile)
  expect(statSync(`${logFile}.1`).size).toBeGreaterThan(10_000_000)
})

test('data that is gone is missed; a half-made data folder is made again', async () => {
  const lostHome = join(root, 'lost')
  const first = await start({ home: lostHome })
  await first.stop()
  await rm(join(lostHome, 'postgres', 'data'), { recursive: true })
  await expect(start({ home: lostHome })).rejects.toThrow(
    /^The database folder .* is gone\. Put it back, or delete .* to begin with an empty/,
  )
  await rm(join(lostHome, 'postgres.json'))
  await mkdir(join(lostHome, 'postgres', 'new-abc', 'base'), { recursive: true })
  await start({ home: lostHome })
  expect(existsSync(join(lostHome, 'postgres', 'new-abc'))).toBe(false)
}, 60_000)

test('DATABASE_URL is checked with one sentence that keeps the password to itself', async () => {
  const server = await start()
  const url = new URL(server.url)
  await expect(checkDatabase(server.url)).resolves.toBeUndefined()
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      server.url.replace(`:${url.port}/`, ':1/'),
      /^DATABASE_URL: nothing listens on 127\.0\.0\.1:1\.$/,
    ],
    [server.url.replace(/\/weir$/, '/nowhere'), /there is no database "nowhere"/],
    [server.url.replace(/:[^:@]+@/, ':hunter2@'), /refused the user "weir"/],
    ['postgres://weir:hunter2@no.such.host.invalid/weir', /there is no host "no\.such\.host/],
  ]
  for (const [wrong, sentence] of cases) {
    const error: unknown = await checkDatabase(wrong).catch((caught: unknown) => caught)
    const message = (error as Error).message
    expect(message).toMatch(sentence)
    expect(message).not.toMatch(/hunter2/)
    expect(message.split('\n')).toHaveLength(1)
  }
}, 60_000)
