import { createServer } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'

let database: TestDatabase
let listener: PostgresListener

beforeAll(async () => {
  database = await testDatabase()
  listener = new PostgresListener(database.url, 'weir-listener')
})

afterAll(async () => {
  await listener.close()
  await database.close()
})

async function notify(channel: string, payload: string): Promise<void> {
  await database.pool.query('SELECT pg_notify($1, $2)', [channel, payload])
}

test('comes back by itself, says that something may be missed, and hears again', async () => {
  const heard: string[] = []
  let missed = 0
  const hearer = { heard: (text: string) => heard.push(text), missed: () => (missed += 1) }
  await Promise.all(['a', 'b', 'a'].map((channel) => listener.listen(channel, hearer)))
  await notify('b', 'before')
  await waitFor('the first notification', () => heard.length === 1)
  await database.pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'weir-listener' AND datname = current_database()`,
  )
  await waitFor('the listener to come back', () => missed === 2)
  await notify('a', 'after')
  await waitFor('the second notification', () => heard.length === 2)
  expect(heard).toEqual(['before', 'after'])
})

test('listens on one connection, however many channels and hearers', async () => {
  const hearer = { heard: () => undefined, missed: () => undefined }
  const channels = Array.from({ length: 20 }, (_, at) => `channel ${at % 7} "quoted"`)
  const stops = await Promise.all(channels.map((channel) => listener.listen(channel, hearer)))
  const { rows } = await database.pool.query(
    `SELECT pid FROM pg_stat_activity
     WHERE application_name = 'weir-listener' AND datname = current_database()`,
  )
  expect(rows).toHaveLength(1)
  await Promise.all(stops.map((stop) => stop()))
})

test('can be closed while Postgres does not answer', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const address = silent.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const accepted = once(silent, 'connection')
  const hopeless = new PostgresListener(`postgres://u@127.0.0.1:${address.port}/d`, 'weir-test')
  const listening = hopeless.listen('a', { heard: () => undefined, missed: () => undefined })
  await accepted
  await hopeless.close()
  await listening
  silent.close()
  await once(silent, 'close')
})
