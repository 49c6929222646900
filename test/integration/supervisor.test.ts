import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { buildSupervisor, type BuiltSupervisor } from '../support/built-supervisor.ts'
import { freePorts } from '../support/free-ports.ts'
import { waitFor } from '../support/wait-for.ts'

const readyLimitMs = 30_000

interface Launched {
  readonly process: ChildProcess
  readonly exit: Promise<number | null>
  output(): string
}

interface Answer {
  readonly role: string
  readonly pid: number
  readonly databaseUrl: string
}

let built: BuiltSupervisor
let root: string
let home: string
let port: number
let metricsPort: number
let launched: Launched[]

beforeAll(() => {
  built = buildSupervisor()
  root = mkdtempSync(join(tmpdir(), 'weir-supervisor-'))
  chmodSync(root, 0o700)
  home = join(root, 'home')
})

beforeEach(async () => {
  port = await freePorts()
  metricsPort = await freePorts(3)
  launched = []
})

afterEach(async () => {
  for (const one of launched) one.process.kill('SIGTERM')
  await Promise.all(launched.map(async ({ exit }) => await exit))
})

afterAll(async () => {
  // What the tests have killed is left to a last start, which takes over everything and stops it.
  const last = launch()
  await ready(last)
  last.process.kill('SIGTERM')
  await last.exit
  const { folder } = JSON.parse(readFileSync(join(home, 'postgres.json'), 'utf8')) as Folder
  if (folder.startsWith('/var/lib/weir/')) rmSync(folder, { recursive: true })
  rmSync(root, { recursive: true })
  built.remove()
}, 60_000)

interface Folder {
  readonly folder: string
}

function launch(environment: Record<string, string> = {}): Launched {
  const child = spawn(process.execPath, [built.program], {
    env: {
      PATH: process.env['PATH'],
      WEIR_HOME: home,
      WEIR_PORT: String(port),
      WEIR_METRICS_PORT: String(metricsPort),
      WEIR_DRAIN_MS: '2000',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const note = (chunk: Buffer): void => {
    output += chunk.toString()
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
  const one = { process: child, exit, output: () => output }
  launched.push(one)
  return one
}

async function ready(one: Launched): Promise<void> {
  const isReady = (): boolean => {
    if (one.process.exitCode !== null) throw new Error(`The launcher ended: ${one.output()}`)
    return one.output().includes('weir is ready.')
  }
  await waitFor('weir to be ready', isReady, readyLimitMs)
}

async function ask(role: 'api' | 'worker' | 'projector'): Promise<Answer | undefined> {
  const at = { api: port, worker: metricsPort + 1, projector: metricsPort + 2 }[role]
  try {
    return (await (await fetch(`http://127.0.0.1:${at}/healthz`)).json()) as Answer
  } catch {
    return undefined
  }
}

async function allAnswers(): Promise<Answer[]> {
  return await Promise.all(
    (['api', 'worker', 'projector'] as const).map(
      async (role) => await waitFor(`weir-${role}`, async () => await ask(role), readyLimitMs),
    ),
  )
}

function postmasterPid(): number {
  const { folder } = JSON.parse(readFileSync(join(home, 'postgres.json'), 'utf8')) as Folder
  const data = join(folder.startsWith('/') ? folder : join(home, folder), 'data')
  return Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

async function listenOn(wanted: number): Promise<Server> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(wanted, '127.0.0.1', resolve)
  })
  return server
}

async function closed(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve))
}

test('below a folder of mode 700 three processes start; Ctrl-C ends everything', async () => {
  const one = launch()
  await ready(one)
  const answers = await allAnswers()
  expect(answers.map(({ role }) => role)).toEqual(['api', 'worker', 'projector'])
  const titles = answers.map(({ pid }) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim())
  expect(titles).toEqual(['weir-api', 'weir-worker', 'weir-projector'])
  expect(one.output()).toMatch(/curl -s http:\/\/127\.0\.0\.1:\d+\/v1\/jobs/)
  const dev: unknown = JSON.parse(readFileSync(join(home, 'dev.json'), 'utf8'))
  expect(dev).toMatchObject({
    baseUrl: `http://127.0.0.1:${port}`,
    apiKey: 'weir_live_fixture',
    adminUrl: `http://127.0.0.1:${port}/admin`,
  })
  expect(statSync(join(home, 'dev.json')).mode & 0o777).toBe(0o600)
  const pids = [...answers.map(({ pid }) => pid), postmasterPid()]

  one.process.kill('SIGINT')
  expect(await one.exit).toBe(0)
  expect(pids.filter(isAlive)).toEqual([])
}, 60_000)

test('a role that does not stop is killed when its time is up', async () => {
  const one = launch({ WEIR_TEST_HANGS: 'true', WEIR_DRAIN_MS: '0' })
  await ready(one)
  const pids = (await allAnswers()).map(({ pid }) => pid)
  one.process.kill('SIGTERM')
  expect(await one.exit).toBe(0)
  expect(pids.filter(isAlive)).toEqual([])
}, 60_000)

test('a second Ctrl-C does not wait; one that npm passes on is not a second', async () => {
  const one = launch({ WEIR_TEST_HANGS: 'true', WEIR_DRAIN_MS: '600000' })
  await ready(one)
  const pids = (await allAnswers()).map(({ pid }) => pid)
  const startedAt = performance.now()
  one.process.kill('SIGINT')
  one.process.kill('SIGINT')
  await waitFor('a human to press again', () => performance.now() - startedAt > 1_000)
  expect(pids.filter(isAlive)).toEqual(pids)
  one.process.kill('SIGINT')
  expect(await one.exit).toBe(0)
  expect(pids.filter(isAlive)).toEqual([])
}, 60_000)

test('a second Ctrl-C does not wait for a long migration, and leaves nothing', async () => {
  const one = launch({ WEIR_TEST_MIGRATES: 'for ever' })
  await waitFor('it to migrate', () => one.output().includes('Migrating.'), readyLimitMs)
  one.process.kill('SIGINT')
  await waitFor('it to be heard', () => one.output().includes('Ctrl-C again stops at once'))
  const server = postmasterPid()
  // What comes at once is the same key press, passed on.
  const again = setInterval(() => one.process.kill('SIGINT'), 400)
  expect(await one.exit).toBe(0)
  clearInterval(again)
  expect(isAlive(server)).toBe(false)
}, 60_000)

test('a second start in the same home says so and changes nothing', async () => {
  const one = launch()
  await ready(one)
  const second = launch()
  expect(await second.exit).toBe(1)
  expect(second.output()).toBe(
    `weir cannot start. weir is already running in ${home} (process ${one.process.pid}): ` +
      'stop it first, or start this one with another WEIR_HOME and WEIR_PORT.\n',
  )
  expect(await ask('api')).toBeDefined()
}, 60_000)

test('of several starts at once exactly one gets the home', async () => {
  const three = [launch(), launch(), launch()]
  const ends = three.map(async (one) => await Promise.race([one.exit, ready(one)]))
  const codes = await Promise.all(ends.map(async (end) => await end.catch(() => 1)))
  expect(codes.filter((code) => code === undefined)).toHaveLength(1)
  expect(codes.filter((code) => code === 1)).toHaveLength(2)
}, 60_000)

test('whatever is killed is started again: a role, and Postgres', async () => {
  const one = launch()
  await ready(one)
  const [, worker] = await allAnswers()
  process.kill(worker?.pid ?? 0, 'SIGKILL')
  const next = await waitFor('another worker', async () => {
    const answer = await ask('worker')
    return answer && answer.pid !== worker?.pid ? answer : undefined
  })
  expect(next.databaseUrl).toBe(worker?.databaseUrl)
  expect(one.output()).toContain('weir-worker ended (SIGKILL), starting it again in 100 ms.')

  const postmaster = postmasterPid()
  process.kill(postmaster, 'SIGKILL')
  await waitFor('Postgres', () => one.output().includes('Postgres is running again.'), 20_000)
  expect(postmasterPid()).not.toBe(postmaster)
}, 60_000)

test('a home that cannot be written any more neither ends the launcher nor its stop', async () => {
  const one = launch()
  await ready(one)
  const [, worker] = await allAnswers()
  rmSync(join(home, 'children.json'))
  mkdirSync(join(home, 'children.json', 'in the way'), { recursive: true })
  rmSync(join(home, 'lock'), { recursive: true })
  process.kill(worker?.pid ?? 0, 'SIGKILL')
  await waitFor('another worker', async () => {
    const answer = await ask('worker')
    return answer && answer.pid !== worker?.pid
  })
  one.process.kill('SIGTERM')
  expect(await one.exit).toBe(0)
  rmSync(join(home, 'children.json'), { recursive: true })
}, 60_000)

test('after kill -9 of the launcher the next start takes over what it left', async () => {
  const one = launch()
  await ready(one)
  const before = await allAnswers()
  const postmaster = postmasterPid()
  one.process.kill('SIGKILL')
  await one.exit
  const second = launch()
  await ready(second)
  const after = await allAnswers()
  expect(before.map(({ pid }) => pid).filter(isAlive)).toEqual([])
  expect(after.map(({ databaseUrl }) => databaseUrl)).toEqual(
    before.map(({ databaseUrl }) => databaseUrl),
  )
  expect(postmasterPid()).toBe(postmaster)
}, 60_000)

test('roles whose launcher was killed end by themselves', async () => {
  const one = launch()
  await ready(one)
  const pids = (await allAnswers()).map(({ pid }) => pid)
  one.process.kill('SIGKILL')
  await waitFor('the roles to end', () => pids.filter(isAlive).length === 0)
}, 60_000)

test('a busy port is named together with its variable', async () => {
  for (const [busy, variable] of [
    [port, 'WEIR_PORT'],
    [metricsPort + 2, 'WEIR_METRICS_PORT'],
  ] as const) {
    const blocker = await listenOn(busy)
    const one = launch()
    expect(await one.exit).toBe(1)
    expect(one.output()).toBe(
      `weir cannot start. Port ${busy} is in use by another program: stop that, or choose ` +
        `another ${variable}.\n`,
    )
    await closed(blocker)
  }
}, 60_000)

test('a wrong DATABASE_URL is explained without its password', async () => {
  const one = launch({ DATABASE_URL: 'postgres://weir:hunter2@127.0.0.1:1/weir' })
  expect(await one.exit).toBe(1)
  expect(one.output()).toBe('weir cannot start. DATABASE_URL: nothing listens on 127.0.0.1:1.\n')
}, 60_000)

test('metrics ports that nobody chose move out of the way of another installation', async () => {
  const blocker = await listenOn(9464).catch(() => undefined)
  const one = launch({ WEIR_METRICS_PORT: '' })
  await ready(one)
  await waitFor('the ports', () => /Metrics are on ports \d+ to \d+\./.test(one.output()))
  if (blocker) await closed(blocker)
}, 60_000)
