import { canonical } from '../../domain/ledger/canonical.ts'
import type { CarriedEvent, EventMeta, RecordedEvent } from '../../domain/envelope.ts'
import type { JsonObject } from '../../domain/json.ts'
import type { Clock } from '../../domain/ports/clock.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { RevisionConflict, UnknownOutcome } from '../../domain/ports/event-store.ts'
import type { EventStore } from '../../domain/ports/event-store.ts'
import { linesOf } from './lines.ts'
import { readEventLine } from './log-file.ts'
import type { EventLine } from './log-file.ts'

/** Events of one append, all of one stream and next to each other in the log. */
const runEventsMax = 200
/** A line is longer than what an append counts of its event, so this is on the safe side. */
const runCharactersMax = 200_000
const pageEventsMax = 1_000
/** Repetitions of an append whose outcome is unknown, with a growing pause. */
const unknownMax = 10
const pauseMsMax = 5_000

/** The events of a file, one by one. */
type Lines = AsyncGenerator<EventLine, undefined, undefined>

/** The file does not fit to what is in the event store. */
export class ImportRefused extends Error {
  override readonly name = 'ImportRefused'
}

export type ImportOptions = {
  /** The exported log from its beginning, each time anew; it has been verified. */
  readonly open: () => AsyncIterable<Uint8Array>
  readonly store: EventStore
  readonly newFeed: () => EventFeed
  readonly clock: Clock
  /** Called now and then with how many events are there. */
  readonly progress: (events: number) => void
}

export type ImportedLog = {
  /** Events of the file, all of which are in the event store now. */
  readonly events: number
  /** Those that an earlier import had brought. */
  readonly wereThere: number
}

/**
 * Brings an exported log into an event store that is empty, or has the beginning of this very log
 * because an earlier import was interrupted. Ids, streams, revisions, the order of the whole log,
 * data, metadata and times stay what they were; one append follows the other, because several at a
 * time could come in another order. At the end all of it is read back and compared.
 *
 * @throws ImportRefused when something else is in the event store
 */
export async function importLog(options: ImportOptions): Promise<ImportedLog> {
  const { open, newFeed, progress } = options
  const events = eventsOf(open())
  const wereThere = await compare(events, newFeed())
  let count = wereThere
  for await (const run of runsOf(events)) {
    await appendRun(run, options)
    count += run.length
    progress(count)
  }
  const readBack = await compare(eventsOf(open()), newFeed())
  if (readBack !== count) throw new ImportRefused(`only ${readBack} of ${count} can be read back`)
  return { events: count, wereThere }
}

/** Goes through the event store and takes the same events from the file. Returns how many. */
async function compare(events: Lines, feed: EventFeed): Promise<number> {
  let count = 0
  for (let place = feed.start; ;) {
    const page = await feed.readPage(place, pageEventsMax)
    if (page.position === place) return count
    place = page.position
    for (const there of page.events) {
      const { value: line } = await events.next()
      if (!line || !isSame(there, line)) {
        const name = `${there.stream}@${there.revision}`
        throw new ImportRefused(`event ${count} of the event store, ${name}, is not in the file`)
      }
      count += 1
    }
  }
}

function isSame(there: RecordedEvent, line: EventLine): boolean {
  return there.recordedAt === line.recordedAt && textOf(there) === textOf(line)
}

function textOf({ stream, revision, id, type, data, meta }: RecordedEvent | EventLine): string {
  return canonical({ stream, revision, id, type, data, meta })
}

async function* eventsOf(file: AsyncIterable<Uint8Array>): Lines {
  for await (const text of linesOf(file)) {
    const event = text === null ? null : readEventLine(text)
    if (event) yield event
  }
}

/** Events that stand next to each other in one stream, as far as one append takes them. */
async function* runsOf(events: Lines): AsyncGenerator<readonly EventLine[], void> {
  let run: EventLine[] = []
  let characters = 0
  for await (const event of events) {
    const length = canonical({ data: event.data, meta: event.meta }).length
    const isFull = run.length >= runEventsMax || characters + length > runCharactersMax
    if (run.length > 0 && (isFull || run[0]?.stream !== event.stream)) {
      yield run
      run = []
      characters = 0
    }
    run.push(event)
    characters += length
  }
  if (run.length > 0) yield run
}

async function appendRun(
  run: readonly EventLine[],
  { store, clock }: Pick<ImportOptions, 'store' | 'clock'>,
): Promise<void> {
  const [first] = run
  if (!first) return
  const { stream, revision } = first
  for (let unknown = 0; ; unknown += 1) {
    try {
      await store.append(stream, revision - 1, run.map(carried))
      return
    } catch (error) {
      if (error instanceof RevisionConflict) {
        throw new ImportRefused(`somebody else writes into ${stream}: stop every role first`)
      }
      if (!(error instanceof UnknownOutcome) || unknown >= unknownMax) throw error
      await clock.sleep(Math.min(100 * 2 ** unknown, pauseMsMax))
    }
  }
}

function carried({ id, type, data, meta, recordedAt }: EventLine): CarriedEvent {
  // Nothing of it is left out, also what this version does not know: the chain covers it.
  if (!isMeta(meta)) throw new ImportRefused(`${canonical(meta)} is no metadata of weir`)
  return { id, type, data, meta, recordedAt }
}

function isMeta(meta: JsonObject): meta is JsonObject & EventMeta {
  const { orgId, actor, correlationId, causationId, traceparent, at, schema } = meta
  const texts = [orgId, actor, correlationId, causationId, traceparent ?? '', at]
  return texts.every((text) => typeof text === 'string') && typeof schema === 'number'
}
