import type pg from 'pg'
import type { CarriedEvent, NewEvent, RecordedEvent } from '../../domain/envelope.ts'
import {
  appendCountMax,
  EventStore,
  readCountMax,
  RevisionConflict,
  UnknownOutcome,
} from '../../domain/ports/event-store.ts'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import { Batcher, type Selection } from '../batcher.ts'
import { assertReadable, decodeEvent, encodeAppend } from '../event-text.ts'
import type { EventText, RecordedText } from '../event-text.ts'
import { integerArray, textArray, uuidArray } from './binary-array.ts'
import { eventChannel } from './channels.ts'
import { isDefiniteFailure, isRetryable } from './errors.ts'
import { notifyStatement } from './notifier.ts'
import { inTransaction, queryThen } from './transaction.ts'

type AppendedEvents = {
  readonly stream: string
  readonly expected: number
  readonly events: readonly EventText[]
}

type Append = AppendedEvents & {
  readonly bytes: number
  readonly resolve: (revision: number) => void
  readonly reject: (error: Error) => void
}

type Read = {
  readonly stream: string
  readonly fromRevision: number
  readonly resolve: (events: readonly RecordedEvent[]) => void
  readonly reject: (error: Error) => void
}

type AppendedRow = { readonly revisions: readonly (number | null)[] }

type ReadRow = Omit<RecordedText, 'stream'> & { readonly n: number }

const appendBatchesInFlightMax = 2
const appendsPerBatchMax = 500
const eventsPerBatchMax = appendCountMax
const bytesPerBatchMax = 4_000_000
const attemptsMax = 5

const readBatchesInFlightMax = 4
const readsPerBatchMax = 200

/**
 * Streams in Postgres, with group commit across commands: appends that arrive while batches are in
 * flight form the next batch, which is one call of one procedure and one fsync.
 *
 * Measured with bench/append.ts: 1,000 writers, 2 events per append, PostgreSQL 18 with fsync, Node
 * 20, two cores: 42,000 events/s, 0.99 of one raw INSERT … SELECT unnest with the same rows; CPU
 * per event 8.7 µs in Node and 10.3 µs in Postgres, raw 9.5 and 8.7. With pg's own text arrays
 * instead of binary ones it was 17.5 µs in Node and 13.8 µs in Postgres.
 */
export class PostgresEventStore extends EventStore {
  readonly #pool: pg.Pool
  readonly #appends: Batcher<Append>
  readonly #reads: Batcher<Read>
  /** Streams of the batches in flight. A second append to one would only wait for its row lock. */
  readonly #busy = new Set<string>()

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
    this.#appends = new Batcher<Append>({
      inFlightMax: appendBatchesInFlightMax,
      batchMax: appendsPerBatchMax,
      selection: () => this.#selectAppends(),
      run: (batch) => this.#runAppends(batch),
    })
    this.#reads = new Batcher<Read>({
      inFlightMax: readBatchesInFlightMax,
      batchMax: readsPerBatchMax,
      run: (batch) => this.#runReads(batch),
    })
  }

  override async append(
    stream: string,
    expectedRevision: number,
    events: readonly (NewEvent | CarriedEvent)[],
  ): Promise<number> {
    const texts = encodeAppend(stream, expectedRevision, events)
    const expected = expectedRevision
    if (texts.some(({ carriedMs }) => carriedMs !== null)) {
      return await this.#appendCarried({ stream, expected, events: texts })
    }
    const bytes = texts.reduce((sum, text) => sum + text.data.length + text.meta.length, 0)
    return await new Promise((resolve, reject) => {
      this.#appends.add({ stream, expected, events: texts, bytes, resolve, reject })
    })
  }

  override async read(stream: string, fromRevision: number): Promise<readonly RecordedEvent[]> {
    assertReadable(stream, fromRevision)
    return await new Promise((resolve, reject) => {
      this.#reads.add({ stream, fromRevision, resolve, reject })
    })
  }

  /**
   * Events out of another log keep their time. That is rare, so the procedure of all appends does
   * not know of it. One transaction: a process that dies leaves no event with another time.
   */
  async #appendCarried(append: AppendedEvents): Promise<number> {
    const { stream, expected } = append
    const revision = await inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<AppendedRow>(appendStatement([append]))
      const last = rows[0]?.revisions[0] ?? null
      if (last !== null) await client.query(keepTimesStatement(append))
      return last
    }).catch((error: unknown) => {
      throw translated(error)
    })
    if (revision === null) throw new RevisionConflict(stream, expected)
    return revision
  }

  #selectAppends(): Selection<Append> {
    let eventCount = 0
    let bytes = 0
    let isFull = false
    return (append) => {
      if (isFull || this.#busy.has(append.stream)) return false
      const isFirst = eventCount === 0
      eventCount += append.events.length
      bytes += append.bytes
      isFull = !isFirst && (eventCount > eventsPerBatchMax || bytes > bytesPerBatchMax)
      if (!isFull) this.#busy.add(append.stream)
      return !isFull
    }
  }

  async #runAppends(batch: readonly Append[]): Promise<void> {
    // Every process locks stream rows in this order, or two batches could wait for each other.
    const sorted = batch.toSorted((a, b) => (a.stream < b.stream ? -1 : 1))
    await this.#settleAppends(sorted)
    for (const append of sorted) this.#busy.delete(append.stream)
  }

  async #settleAppends(batch: readonly Append[]): Promise<void> {
    try {
      const revisions = await this.#write(batch)
      batch.forEach((append, at) => settle(append, revisions[at] ?? null))
    } catch (error) {
      if (isDefiniteFailure(error) && batch.length > 1) {
        // Something in the batch is poison: one by one, only that append fails.
        for (const append of batch) await this.#settleAppends([append])
        return
      }
      for (const append of batch) append.reject(translated(error))
    }
  }

  /** The last revisions of the streams, null where the expected revision was wrong. */
  async #write(batch: readonly Append[]): Promise<readonly (number | null)[]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        // The notification wakes the feeds as soon as the events are there.
        const { rows } = await queryThen<AppendedRow>(
          this.#pool,
          appendStatement(batch),
          notifyStatement([{ channel: eventChannel, payload: '' }]),
        )
        return rows[0]?.revisions ?? []
      } catch (error) {
        // A deadlock has rolled the whole batch back, so nothing of it is written.
        if (!isRetryable(error) || attempt === attemptsMax) throw error
      }
    }
  }

  async #runReads(batch: readonly Read[]): Promise<void> {
    try {
      const { rows } = await this.#pool.query<ReadRow>({
        name: 'read_streams',
        text: 'SELECT * FROM read_streams($1, $2, $3)',
        values: [batch.map((read) => read.stream), batch.map((r) => r.fromRevision), readCountMax],
      })
      const results: RecordedEvent[][] = batch.map(() => [])
      for (const { n, ...row } of rows) {
        const stream = batch[n - 1]?.stream ?? ''
        results[n - 1]?.push(decodeEvent({ ...row, stream }))
      }
      batch.forEach((read, at) => read.resolve(results[at] ?? []))
    } catch (error) {
      for (const read of batch) read.reject(readError(error))
    }
  }
}

function appendStatement(batch: readonly AppendedEvents[]): pg.QueryConfig {
  return {
    name: 'append_events',
    text: 'SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9) AS revisions',
    values: appendValues(batch),
  }
}

/** By revision: a stream is long, and its events are found by nothing else. */
function keepTimesStatement({ stream, expected, events }: AppendedEvents): pg.QueryConfig {
  const numbered = events.map(({ carriedMs }, at) => ({ carriedMs, revision: expected + 1 + at }))
  const carried = numbered.filter(({ carriedMs }) => carriedMs !== null)
  return {
    text: `UPDATE event e SET recorded_at = c.at
      FROM unnest($2::int[], $3::timestamptz[]) AS c (revision, at)
      WHERE e.stream = $1 AND e.revision = c.revision`,
    values: [
      stream,
      carried.map(({ revision }) => revision),
      carried.map(({ carriedMs }) => new Date(carriedMs ?? 0)),
    ],
  }
}

function appendValues(batch: readonly AppendedEvents[]): Buffer[] {
  const events = batch.flatMap((append) => append.events)
  return [
    textArray(batch.map((append) => append.stream)),
    integerArray(batch.map((append) => append.expected)),
    integerArray(batch.map((append) => append.events.length)),
    textArray(batch.flatMap((append) => append.events.map(() => append.stream))),
    integerArray(batch.flatMap((append) => append.events.map((_, at) => append.expected + 1 + at))),
    uuidArray(events.map((event) => event.id)),
    textArray(events.map((event) => event.type)),
    textArray(events.map((event) => event.data)),
    textArray(events.map((event) => event.meta)),
  ]
}

function settle(append: Append, revision: number | null): void {
  if (revision === null) append.reject(new RevisionConflict(append.stream, append.expected))
  else append.resolve(revision)
}

function readError(cause: unknown): Error {
  const isAway = cause instanceof EngineUnavailable
  return new (isAway ? EngineUnavailable : Error)('cannot read events', { cause })
}

function translated(error: unknown): Error {
  if (isDefiniteFailure(error)) return new Error('cannot append events', { cause: error })
  return new UnknownOutcome('the event store did not answer', { cause: error })
}
