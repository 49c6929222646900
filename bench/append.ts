// Appends by many writers, next to one raw INSERT … SELECT unnest with the same rows:
//
//   npm run build && npx tsc -p bench/tsconfig.json --noCheck
//   node dist/bench/bench/append.js [database url]
//
// Without a URL it starts the embedded Postgres, with fsync, in a folder of its own.
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { NewEvent } from '../domain/envelope.ts'
import { NO_STREAM } from '../domain/ports/event-store.ts'
import { integerArray, textArray, uuidArray } from '../infra/postgres/binary-array.ts'
import { PostgresEventStore } from '../infra/postgres/event-store.ts'
import { openPool } from '../infra/postgres/pool.ts'
import { cleanUp, cleanUpAtAnyEnd, onCleanup } from './cleanup.ts'
import { migrate, startPostgres } from './postgres.ts'
import { cpuSeconds } from './processes.ts'
import { median } from './statistics.ts'
import { workFolder } from './work-folder.ts'

const writers = 1_000
const appendsPerWriter = 30
const eventsPerAppend = 2
const rounds = 5
const rawRowsPerStatement = 1_000
const rawInFlight = 2

const eventCount = writers * appendsPerWriter * eventsPerAppend

function newEvent(): NewEvent {
  return {
    id: randomUUID(),
    type: 'JobSubmitted',
    data: {
      jobId: randomUUID(),
      jobType: 'sandbox.run',
      input: { steps: 1, stepMs: 0, note: 'a "quoted" text of usual length' },
      holdMicrocredits: '1500000',
      priority: 0,
    },
    meta: {
      orgId: 'org-0190c0de',
      actor: 'key:0190c0de',
      correlationId: randomUUID(),
      causationId: randomUUID(),
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      at: '2026-01-02T03:04:05.678Z',
      schema: 1,
    },
  }
}

type Run = {
  readonly eventsPerSecond: number
  /** CPU time of this process and of Postgres when it is ours, in µs per event. */
  readonly nodeMicros: number
  readonly postgresMicros: number
}

function cpu(): { node: number; postgres: number } {
  const used = cpuSeconds(process.pid, (title) => (/postgres/.test(title) ? 'postgres' : 'node'))
  return { node: used.get('node') ?? 0, postgres: used.get('postgres') ?? 0 }
}

async function measure(work: () => Promise<unknown>): Promise<Run> {
  const before = cpu()
  const startedMs = performance.now()
  await work()
  const seconds = (performance.now() - startedMs) / 1_000
  const after = cpu()
  return {
    eventsPerSecond: eventCount / seconds,
    nodeMicros: ((after.node - before.node) * 1e6) / eventCount,
    postgresMicros: ((after.postgres - before.postgres) * 1e6) / eventCount,
  }
}

function line(name: string, runs: readonly Run[]): string {
  const figure = (of: (run: Run) => number): string => median(runs.map(of)).toFixed(1).padStart(9)
  return (
    `${name.padEnd(6)}${figure((run) => run.eventsPerSecond)} events/s; CPU per event: ` +
    `node ${figure((run) => run.nodeMicros)} µs, postgres ${figure((run) => run.postgresMicros)} µs`
  )
}

async function writeByStore(pool: pg.Pool, round: number, events: NewEvent[]): Promise<void> {
  const store = new PostgresEventStore(pool)
  const write = async (writer: number): Promise<void> => {
    let revision = NO_STREAM
    for (let append = 0; append < appendsPerWriter; append += 1) {
      const from = (writer * appendsPerWriter + append) * eventsPerAppend
      const batch = events.slice(from, from + eventsPerAppend)
      revision = await store.append(`job-${round}-${writer}`, revision, batch)
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
}

async function writeRaw(pool: pg.Pool, round: number, events: NewEvent[]): Promise<void> {
  let next = 0
  const write = async (): Promise<void> => {
    while (next < events.length) {
      const from = next
      next += rawRowsPerStatement
      const page = events.slice(from, next)
      await pool.query({
        name: 'raw',
        text: `INSERT INTO raw_event (stream, revision, id, type, data, meta)
          SELECT * FROM unnest($1::text[], $2::integer[], $3::uuid[], $4::text[], $5::text[],
            $6::text[])`,
        values: [
          textArray(page.map((_, at) => `job-${round}-${(from + at) % writers}`)),
          integerArray(page.map((_, at) => Math.floor((from + at) / writers))),
          uuidArray(page.map((event) => event.id)),
          textArray(page.map((event) => event.type)),
          textArray(page.map((event) => JSON.stringify(event.data))),
          textArray(page.map((event) => JSON.stringify(event.meta))),
        ],
      })
    }
  }
  await Promise.all(Array.from({ length: rawInFlight }, write))
}

async function main(): Promise<void> {
  const folder = workFolder()
  const url = process.argv[2] ?? (await startPostgres(folder)).url
  migrate(url, folder)
  const pool = openPool(url, { max: 4, applicationName: 'weir-bench' })
  onCleanup('pool', () => pool.end())
  await pool.query(`
    DROP TABLE IF EXISTS raw_event;
    CREATE TABLE raw_event (LIKE event INCLUDING INDEXES INCLUDING DEFAULTS);
    ALTER TABLE raw_event ALTER position ADD GENERATED ALWAYS AS IDENTITY;
    TRUNCATE event, stream`)
  const ours: Run[] = []
  const raw: Run[] = []
  for (let round = 0; round < rounds; round += 1) {
    const events = Array.from({ length: eventCount }, newEvent)
    raw.push(await measure(() => writeRaw(pool, round, events)))
    ours.push(await measure(() => writeByStore(pool, round, events)))
  }
  const rate = (runs: Run[]): number => median(runs.map((run) => run.eventsPerSecond))
  const ratio = (rate(ours) / rate(raw)).toFixed(2)
  process.stdout.write(`${line('raw', raw)}\n${line('store', ours)}\nstore / raw = ${ratio}\n`)
}

cleanUpAtAnyEnd()
try {
  await main()
} finally {
  await cleanUp()
}
