import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { DomainError } from '../../domain/errors.ts'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import { startEmbeddedPostgres } from '../../infra/embedded-postgres/embedded-postgres.ts'
import { CliError } from '../../src/cli/command.ts'
import { exportFile } from '../../src/cli/export-file.ts'
import { withDatabase } from '../../src/cli/database.ts'
import { lockHome } from '../../src/supervisor/home-lock.ts'
import { requireBuilt } from '../support/build.ts'
import { waitFor } from '../support/wait-for.ts'

const program = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url))
const before = { ...process.env }
let root: string
let home: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weir-tool-'))
  await chmod(root, 0o755)
  home = join(root, 'home')
  await (await startEmbeddedPostgres({ home })).stop()
  process.env = { WEIR_HOME: home }
  await withDatabase((database) => database.migrate())
}, 60_000)

afterAll(async () => {
  process.env = { ...before }
  await rm(root, { recursive: true })
})

const isServed = () => existsSync(join(home, 'postgres', 'data', 'postmaster.pid'))

test('a command that is told to stop ends the Postgres that was started for it', async () => {
  const command = withDatabase(async (database) => {
    expect(isServed()).toBe(true)
    process.emit('SIGINT')
    for (;;) await database.profile().sql('ready', 'SELECT 1', [])
  })
  await expect(command).rejects.toThrow('Stopped before it was done.')
  expect(isServed()).toBe(false)
})

const untrusted = new Error('14 UNAVAILABLE: self-signed certificate in certificate chain')
const away = new EngineUnavailable('EventStoreDB does not answer', { cause: untrusted })

test.each<[string, Error, string]>([
  [
    'an engine that does not answer',
    away,
    'EventStoreDB does not answer: 14 UNAVAILABLE: self-signed certificate in certificate chain',
  ],
  [
    'a command that it does not take',
    new DomainError('unavailable', 'The event store does not answer.', {}, { cause: away }),
    'The event store does not answer: EventStoreDB does not answer: 14 UNAVAILABLE: self-signed',
  ],
  [
    'a refusal',
    new DomainError('unavailable', 'Too many writers at once; try again.'),
    'Too many writers at once; try again.',
  ],
])('%s ends a command with a sentence that says why', async (_, error, sentence) => {
  const command = withDatabase(() => Promise.reject(error))
  await expect(command).rejects.toBeInstanceOf(CliError)
  await expect(command).rejects.toThrow(sentence)
})

test('an export that is told to stop leaves no file', async () => {
  const file = join(root, 'log')
  const command = exportFile({ positionals: [file], options: {} })
  await waitFor('the command to begin', () => process.listenerCount('SIGTERM') > 0)
  process.emit('SIGTERM')
  await expect(command).rejects.toThrow('Stopped before it was done.')
  expect(existsSync(file)).toBe(false)
  expect(isServed()).toBe(false)
})

test('a Postgres that a weir has taken over meanwhile goes on', async () => {
  const adopted = await withDatabase(async () => {
    const lock = await lockHome(home)
    return { lock, server: await startEmbeddedPostgres({ home }) }
  })
  expect(adopted.server.adopted).toBe(true)
  expect(isServed()).toBe(true)
  await adopted.server.stop()
  adopted.lock.release()
})

test('the Postgres of a running weir is used as it is, and none is started beside it', async () => {
  const lock = await lockHome(home)
  const use = () => withDatabase((database) => database.profile().sql('one', 'SELECT 1', []))
  await expect(use()).rejects.toThrow('is just starting or stopping')
  expect(isServed()).toBe(false)
  const server = await startEmbeddedPostgres({ home, settings: { jit: 'on' } })
  await use()
  const next = await startEmbeddedPostgres({ home, settings: { jit: 'on' } })
  expect(next).toMatchObject({ adopted: true, pid: server.pid })
  await server.stop()
  lock.release()
})

test('a command whose output nobody reads any more ends the Postgres that it started', async () => {
  requireBuilt()
  const child = spawn(process.execPath, [program, 'audit', 'replay'], {
    env: { WEIR_HOME: home },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  child.stdout.destroy()
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(isServed()).toBe(false)
})
