import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { type EventStore, NO_STREAM, RevisionConflict } from '../../domain/ports/event-store.ts'
import { PostgresEventFeed } from '../../infra/postgres/event-feed.ts'
import { PostgresEventStore } from '../../infra/postgres/event-store.ts'
import { PostgresListener } from '../../infra/postgres/listener.ts'
import { openPool } from '../../infra/postgres/pool.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { SimulatedIds } from '../../infra/simulated/ids.ts'
import { newEvents } from '../contracts/event-store.contract.ts'
import { databaseUrl, testDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'

const writerCount = 16
const streamCount = 12
const earlyIdShare = 0.3
const rollbackShare = 0.05
const pageSize = 50
const eventCountMin = 2_000
const runMsMax = 14_000

/** What a reader asks with: its cursor as two numbers. */
type Cursor = { xid: string; position: string }

type Row = { position: string; xid: string; stream: string; revision: number }

const columns = 'position, xmin::text::bigint AS xid, stream, revision'
const oldestRunning = 'pg_snapshot_xmin(pg_current_snapshot())::text::bigint'

/** The readers one finds in the wild. $1 is the position, $2 the transaction id of the cursor. */
const naiveReaders = {
  'position > cursor': `
    SELECT ${columns} FROM event WHERE position > $1 AND $2::bigint IS NOT NULL
    ORDER BY position LIMIT ${pageSize}`,
  'xid < xmin, ordered by position': `
    SELECT ${columns} FROM event
    WHERE position > $1 AND $2::bigint IS NOT NULL AND xmin::text::bigint < ${oldestRunning}
    ORDER BY position LIMIT ${pageSize}`,
  'xid < xmin, ordered by (xid, position)': `
    SELECT ${columns} FROM event
    WHERE (xmin::text::bigint, position) > ($2::bigint, $1::bigint)
      AND xmin::text::bigint < ${oldestRunning}
    ORDER BY xmin::text::bigint, position LIMIT ${pageSize}`,
}

/** What one reader has seen. */
class Trace {
  readonly #next = new Map<string, number>()
  readonly #seen = new Set<string>()
  count = 0
  reordered = 0
  doubled = 0
  /** Events that were not the next one of their stream. */
  irregular = 0

  see(stream: string, revision: number): void {
    const next = this.#next.get(stream) ?? 0
    const key = `${stream} ${revision}`
    this.count += 1
    if (revision !== next) this.irregular += 1
    if (this.#seen.has(key)) this.doubled += 1
    else if (revision < next) this.reordered += 1
    this.#seen.add(key)
    this.#next.set(stream, Math.max(next, revision + 1))
  }

  lost(committed: readonly Row[]): number {
    return committed.filter((row) => !this.#seen.has(`${row.stream} ${row.revision}`)).length
  }
}

let database: TestDatabase
let pool: pg.Pool
let listener: PostgresListener
const dice = new SimulatedIds(20_260_101, new SimulatedClock())
const chance = (share: number): boolean => dice.random01() < share
const anyStream = (): string => `chaos-${Math.floor(dice.random01() * streamCount)}`

beforeAll(async () => {
  database = await testDatabase()
  pool = openPool(database.url, { max: writerCount + 8, applicationName: 'weir-test' })
  listener = new PostgresListener(database.url, 'weir-test')
})

afterAll(async () => {
  await listener.close()
  await pool.end()
  await database.close()
})

/** One append in a transaction of its own, with everything that makes positions appear late. */
async function appendRaw(client: pg.PoolClient): Promise<void> {
  const stream = anyStream()
  await client.query('BEGIN')
  if (chance(earlyIdShare)) {
    await client.query('SELECT pg_current_xact_id(), pg_sleep($1)', [dice.random01() * 0.01])
  }
  const { rows } = await client.query<{ revision: number }>(
    'SELECT revision FROM stream WHERE name = $1',
    [stream],
  )
  const revision = rows[0]?.revision ?? NO_STREAM
  const events = newEvents(chance(0.3) ? 3 : 1)
  await client.query('SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
    [stream],
    [revision],
    [events.length],
    events.map(() => stream),
    events.map((_, at) => revision + 1 + at),
    events.map((event) => event.id),
    events.map((event) => event.type),
    events.map(() => '{}'),
    events.map(() => '{}'),
  ])
  if (chance(0.3)) await client.query('SELECT pg_sleep($1)', [dice.random01() * 0.005])
  await client.query(chance(rollbackShare) ? 'ROLLBACK' : 'COMMIT')
}

async function writeRaw(signal: AbortSignal): Promise<void> {
  const client = await pool.connect()
  while (!signal.aborted) await appendRaw(client)
  client.release()
}

/** The store itself, among the others: many appends in one batch. */
async function writeBatched(store: EventStore, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const stream = anyStream()
    const there = await pool.query<{ revision: number }>(
      'SELECT revision FROM stream WHERE name = $1',
      [stream],
    )
    await store
      .append(stream, there.rows[0]?.revision ?? NO_STREAM, newEvents(2))
      .catch((error: unknown) => expect(error).toBeInstanceOf(RevisionConflict))
  }
}

async function readNaively(sql: string, trace: Trace, writing: AbortSignal): Promise<void> {
  const cursor: Cursor = { xid: '0', position: '0' }
  for (;;) {
    const isLast = writing.aborted
    const { rows } = await pool.query<Row>(sql, [cursor.position, cursor.xid])
    for (const row of rows) trace.see(row.stream, row.revision)
    Object.assign(cursor, rows.at(-1))
    if (rows.length > 0) continue
    if (isLast) return
    await pool.query('SELECT pg_sleep(0.002)')
  }
}

async function readOurs(trace: Trace, writing: AbortSignal): Promise<void> {
  const feed = new PostgresEventFeed(pool, listener)
  for (let after = feed.start; ;) {
    const isLast = writing.aborted
    const page = await feed.readPage(after, pageSize)
    for (const event of page.events) trace.see(event.stream, event.revision)
    after = page.position
    if (page.events.length > 0) continue
    if (isLast) return
    await feed.wait(20, writing)
  }
}

/** Holds a transaction open elsewhere on the server until `meanwhile` is over. */
async function withOpenTransaction(meanwhile: () => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl(database.url, 'postgres') })
  await client.connect()
  await client.query('BEGIN')
  await client.query('SELECT pg_current_xact_id()')
  await meanwhile()
  await client.query('COMMIT')
  await client.end()
}

function report(traces: ReadonlyMap<string, Trace>, committed: readonly Row[]): string {
  const lines = [...traces].map(
    ([name, trace]) =>
      `${name.padEnd(42)}lost ${String(trace.lost(committed)).padStart(5)}` +
      `  reordered ${String(trace.reordered).padStart(5)}`,
  )
  return [`${committed.length} events committed`, ...lines, ''].join('\n')
}

test('the feed loses and reorders nothing where the well-known readers do', async () => {
  const ours = new Trace()
  const naive = new Map(Object.keys(naiveReaders).map((name) => [name, new Trace()]))
  const writing = new AbortController()
  const { signal } = writing
  const store = new PostgresEventStore(pool)
  const writers = [
    ...Array.from({ length: writerCount }, () => writeRaw(signal)),
    ...Array.from({ length: 4 }, () => writeBatched(store, signal)),
  ]
  const reading = new AbortController()
  const readers = [
    readOurs(ours, reading.signal),
    ...Object.entries(naiveReaders).map(([name, sql]) =>
      readNaively(sql, naive.get(name) ?? new Trace(), reading.signal),
    ),
  ]
  const until = performance.now() + runMsMax
  await waitFor('the first events', () => ours.count > 500, runMsMax)
  await withOpenTransaction(async () => {
    const before = ours.count
    await waitFor('the feed to go on', () => ours.count > before + 500, runMsMax)
  })
  const isEnough = (): boolean =>
    ours.count >= eventCountMin && [...naive.values()].every((trace) => trace.irregular > 5)
  await waitFor('the naive readers to fail', isEnough, until - performance.now())
  writing.abort()
  await Promise.all(writers)
  reading.abort()
  await Promise.all(readers)

  const { rows: committed } = await pool.query<Row>(`SELECT ${columns} FROM event`)
  process.stdout.write(report(new Map([...naive, ['watermark', ours]]), committed))
  expect(ours).toMatchObject({ count: committed.length, irregular: 0, doubled: 0, reordered: 0 })
  expect(ours.lost(committed)).toBe(0)
  for (const trace of naive.values()) {
    expect(trace.lost(committed) + trace.reordered).toBeGreaterThan(0)
  }
}, 20_000)
