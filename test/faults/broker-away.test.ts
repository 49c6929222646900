import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { requireBuilt } from '../support/build.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { ownEventStoreDb } from '../support/eventstoredb-server.ts'
import type { EventStoreDbServer } from '../support/eventstoredb.ts'
import { waitFor } from '../support/wait-for.ts'
import { program, weirEnvironment, type WeirEnvironment } from '../support/weir.ts'

/** A broker that takes connections and never says a word, as a stopped process does. */
let broker: Server
const sockets = new Set<Socket>()
let database: TestDatabase
let eventStoreDb: EventStoreDbServer
let environment: WeirEnvironment

beforeAll(async () => {
  requireBuilt()
  broker = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve))
  const address = broker.address()
  const port = typeof address === 'object' && address ? address.port : 0
  database = await testDatabase()
  eventStoreDb = await ownEventStoreDb()
  const cluster = {
    WEIR_PROFILE: 'cluster',
    WEIR_EVENTSTOREDB_URL: eventStoreDb.url,
    WEIR_KAFKA_BROKERS: `127.0.0.1:${port}`,
    WEIR_S3_ENDPOINT: 'http://127.0.0.1:9',
    WEIR_S3_BUCKET: 'weir-test',
    WEIR_S3_ACCESS_KEY_ID: 'a',
    WEIR_S3_SECRET_ACCESS_KEY: 'b',
  }
  environment = await weirEnvironment(
    { ...cluster, WEIR_LOG_LEVEL: 'info', WEIR_SECRET_KEY: Buffer.alloc(32, 7).toString('base64') },
    database.url,
  )
})

afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => broker.close(resolve))
  await eventStoreDb.stop()
  await database.close()
  rmSync(environment.WEIR_HOME, { recursive: true })
})

/** Starts a role; resolves when it has said that, and waits for the broker. */
async function startRole(role: string, said: string) {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  const child = spawn(process.execPath, [program], {
    env: { ...environment, WEIR_ROLES: role },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  let told = ''
  child.stdout.on('data', (data: Buffer) => void (told += data.toString()))
  const hasSaid = () => told.includes(said) && sockets.size > 0
  await waitFor(`the ${role} to say ${said} and to ask the broker`, hasSaid, 40_000)
  return { child, ended, told: () => told }
}

// Each of them waits for Kafka in a way of its own.
test.each(['worker', 'projector', 'api'])(
  'a %s that is told to stop while no broker answers stops in order',
  async (role) => {
    const { child, ended, told } = await startRole(role, '"serving"')
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(told()).toContain('"stopped"')
    expect(told()).not.toContain('did not stop in time')
  },
)

test('an api that is told to stop while it waits for a broker stops at once', async () => {
  const { child, ended, told } = await startRole('api', '"starting"')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  expect(told()).not.toContain('"serving"')
})
