import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type pg from 'pg'
import type { NewEvent } from '../../domain/envelope.ts'
import { NO_STREAM, UnknownOutcome } from '../../domain/ports/event-store.ts'
import { PostgresEventFeed } from '../../infra/postgres/event-feed.ts'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { newEvent, newEvents, newStream } from '../contracts/event-store.contract.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'

let database: TestDatabase
let pool: pg.Pool
let others: pg.Pool
let listener: PostgresListener
let store: PostgresEventStore
let feed: PostgresEventFeed

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: 4, applicationName: 'weir-store' })
  others = openPool(database.url, { max: 4, applicationName: 'weir-others' })
  listener = new PostgresListener(database.url, 'weir-test')
  store = new PostgresEventStore(pool)
  feed = new PostgresEventFeed(pool, listener)
})

afterAll(async () => {
  await listener.close()
  await pool.end()
  await others.end()
  await database.close()
})

async function streamsAfter(position: string): Promise<string[]> {
  const page = await feed.readPage(position, 1_000)
  return page.events.map((event) => event.stream)
}

/** Runs `during` while another writer has locked the stream. */
async function whileLocked(
  stream: string,
  during: (client: pg.PoolClient) => Promise<void>,
): Promise<void> {
  const client = await others.connect()
  await client.query('BEGIN')
  await client.query('SELECT FROM stream WHERE name = $1 FOR UPDATE', [stream])
  await during(client)
  await client.query('COMMIT')
  client.release()
}

async function untilStoreWaits(): Promise<number> {
  return await waitFor('the batch to wait for a lock', async () => {
    const { rows } = await database.pool.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
       WHERE application_name = 'weir-store' AND wait_event_type = 'Lock'
         AND datname = current_database()`,
    )
    return rows[0]?.pid
  })
}

/** Calls append_events in an open transaction. */
async function appendOpenly(client: pg.PoolClient, stream: string, event: NewEvent): Promise<void> {
  await client.query('BEGIN')
  await client.query('SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
    [stream],
    [-1],
    [1],
    [stream],
    [0],
    [event.id],
    [event.type],
    ['{}'],
    ['{}'],
  ])
}

describe('the watermark', () => {
  test.each(['COMMIT', 'ROLLBACK'])(
    'what comes after an open append is hidden until its %s',
    async (ending) => {
      const from = await feed.head()
      const [open, later] = [newStream(), newStream()]
      const client = await others.connect()
      await appendOpenly(client, open, newEvent())
      await store.append(later, NO_STREAM, newEvents(2))
      expect(await streamsAfter(from)).toEqual([])
      expect(await feed.head()).toBe(from)
      await client.query(ending)
      client.release()
      const expected = ending === 'COMMIT' ? [open, later, later] : [later, later]
      expect(await streamsAfter(from)).toEqual(expected)
    },
  )

  test('an open transaction that writes no events hides nothing', async () => {
    const from = await feed.head()
    const client = await others.connect()
    await client.query('BEGIN')
    await client.query('SELECT pg_current_xact_id()')
    const stream = newStream()
    await store.append(stream, NO_STREAM, newEvents(1))
    expect(await streamsAfter(from)).toEqual([stream])
    await client.query('COMMIT')
    client.release()
  })

  test('the feed waits again when what woke it is read', async () => {
    let isWoken = false
    void feed.wait(60_000, new AbortController().signal).then(() => (isWoken = true))
    await waitFor('the feed to be woken', async () => {
      await store.append(newStream(), NO_STREAM, newEvents(1))
      return isWoken
    })
    // More may ring for a while, but not for ever.
    await waitFor('the feed to wait', async () => {
      const abort = new AbortController()
      await feed.readPage(await feed.head(), 10)
      let isWaiting = true
      const waiting = feed.wait(60_000, abort.signal).then(() => (isWaiting = false))
      await feed.head()
      const result = isWaiting
      abort.abort()
      await waiting
      return result
    })
  })

  test('the feed refuses a snapshot that could be older than the watermark', async () => {
    const client = await others.connect()
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await expect(client.query('SELECT * FROM read_feed(0, 1)')).rejects.toThrow('READ COMMITTED')
    await client.query('ROLLBACK')
    client.release()
  })
})

describe('faults', () => {
  test('a connection that breaks leaves the outcome unknown; the repeat settles it', async () => {
    const [locked, other] = [newStream(), newStream()]
    await store.append(locked, NO_STREAM, newEvents(1))
    const events = newEvents(2)
    await whileLocked(locked, async () => {
      const appends = Promise.allSettled([
        store.append(locked, 0, events),
        store.append(other, NO_STREAM, events),
      ])
      const pid = await untilStoreWaits()
      await database.pool.query('SELECT pg_terminate_backend($1)', [pid])
      for (const result of await appends) {
        expect(result).toMatchObject({ reason: expect.any(UnknownOutcome) })
      }
    })
    expect(await store.append(locked, 0, events)).toBe(2)
    expect(await store.append(other, NO_STREAM, events)).toBe(1)
    expect(await store.read(locked, 0)).toHaveLength(3)
  })

  test('an append that succeeded before the connection broke is not written twice', async () => {
    const stream = newStream()
    const events = newEvents(2)
    await store.append(stream, NO_STREAM, events)
    await whileLocked(stream, async () => {
      const repeat = store.append(stream, NO_STREAM, events).catch((error: unknown) => error)
      const pid = await untilStoreWaits()
      await database.pool.query('SELECT pg_terminate_backend($1)', [pid])
      expect(await repeat).toBeInstanceOf(UnknownOutcome)
    })
    expect(await store.append(stream, NO_STREAM, events)).toBe(1)
    expect(await store.read(stream, 0)).toHaveLength(2)
  })

  test('an event out of another log is there with its time, or not at all', async () => {
    const stream = newStream()
    const carried = { ...newEvent(), recordedAt: '2021-02-03T04:05:06.789Z' }
    await database.pool.query(`
      CREATE FUNCTION weir.give_up() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END';
      CREATE TRIGGER dies BEFORE UPDATE ON weir.event EXECUTE FUNCTION weir.give_up()`)
    const broken = store.append(stream, NO_STREAM, [carried])
    await expect(broken).rejects.toBeInstanceOf(UnknownOutcome)
    await database.pool.query('DROP FUNCTION weir.give_up CASCADE')
    expect(await store.read(stream, 0)).toEqual([])
    expect(await store.append(stream, NO_STREAM, [carried])).toBe(0)
    expect(await store.read(stream, 0)).toMatchObject([carried])
  })

  test('a batch that loses a deadlock is written after it', async () => {
    const url = `${database.url}?options=-c%20deadlock_timeout%3D50ms`
    const impatient = openPool(url, { max: 2, applicationName: 'weir-store' })
    const [first, second] = [newStream(), newStream()].sort()
    if (!first || !second) throw new Error('two streams were made')
    const another = new PostgresEventStore(impatient)
    await Promise.all([first, second].map((s) => another.append(s, NO_STREAM, newEvents(1))))
    let appends: Promise<number[]> = Promise.resolve([])
    await whileLocked(second, async (client) => {
      appends = Promise.all([first, second].map((s) => another.append(s, 0, newEvents(1))))
      await untilStoreWaits()
      // It holds the first stream and waits for the second; now the other way round.
      await client.query('SELECT FROM stream WHERE name = $1 FOR UPDATE', [first])
    })
    expect(await appends).toEqual([1, 1])
    await impatient.end()
  })

  test('a damaged stream fails alone, not with all that share its batch', async () => {
    const damaged = newStream()
    await store.append(damaged, NO_STREAM, newEvents(2))
    await database.pool.query('DELETE FROM weir.stream WHERE name = $1', [damaged])
    const healthy = Array.from({ length: 5 }, newStream)
    const results = await Promise.allSettled(
      [...healthy, damaged].map((stream) => store.append(stream, NO_STREAM, newEvents(1))),
    )
    expect(results.slice(0, 5)).toEqual(healthy.map(() => ({ status: 'fulfilled', value: 0 })))
    expect(results[5]).toMatchObject({ reason: { message: 'cannot append events' } })
  })

  test('the store and its pool outlive the end of all their connections', async () => {
    const stream = newStream()
    await store.append(stream, NO_STREAM, newEvents(1))
    await database.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'weir-store' AND datname = current_database()`,
    )
    await waitFor('the store to write again', () =>
      store.append(stream, 0, newEvents(1)).catch(() => false),
    )
  })
})
