import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import type { EventStoreDbConnection, Link } from './connection.ts'
import { isFailedRead, isPassing, refusalOf } from './errors.ts'

export type Recorded = ReadResp.ReadEvent.RecordedEvent

/** Events that a server looks at before it answers a filtered read, found or not. */
const searchWindowEvents = 1_000

/**
 * Reads what the options ask for, whole. A try that meets with an error of the moment, such as a
 * node that goes away, is repeated for as long as there is patience; one may take half of it.
 *
 * @param convert never throws; it is called as events come, so that no page of messages is kept
 * @throws EngineUnavailable when patience is over, and at once when the user is refused or the read
 *   failed where it reads; any other error of EventStoreDB at once
 */
export async function readRecorded<T>(
  connection: EventStoreDbConnection,
  options: ReadReq.Options,
  convert: (recorded: Recorded) => T,
  patienceMs = connection.readMs,
): Promise<readonly T[]> {
  const request = new streams.ReadReq()
  request.setOptions(options)
  const untilMs = performance.now() + patienceMs
  for (;;) {
    try {
      const link = await connection.link()
      const leftMs = Math.max(1, Math.min(patienceMs / 2, untilMs - performance.now()))
      const deadline = Date.now() + leftMs
      return await readOnce(connection, link, { request, deadline, convert })
    } catch (error) {
      const refusal = isFailedRead(error) ? 'EventStoreDB failed at a read' : refusalOf(error)
      if (refusal !== null) throw new EngineUnavailable(refusal, { cause: error })
      if (!isPassing(error)) throw error
      if (performance.now() < untilMs) continue
      throw new EngineUnavailable('EventStoreDB does not answer', { cause: error })
    }
  }
}

type Try<T> = {
  readonly request: ReadReq
  /** ms since the epoch. */
  readonly deadline: number
  readonly convert: (recorded: Recorded) => T
}

function readOnce<T>(
  connection: EventStoreDbConnection,
  link: Link,
  { request, deadline, convert }: Try<T>,
): Promise<readonly T[]> {
  return new Promise((resolve, reject) => {
    const found: T[] = []
    const call = link.streams.read(request, connection.metadata, { deadline })
    call.on('data', (response: ReadResp) => {
      connection.answered()
      // A stream that does not exist gives none: that is said, and then the call ends.
      const recorded = response.getEvent()?.getEvent()
      if (recorded) found.push(convert(recorded))
    })
    call.on('end', () => resolve(found))
    call.on('error', (error: Error) => {
      connection.failed(link, error)
      reject(error)
    })
  })
}

/** What every read has in common. */
export function readOptions(): ReadReq.Options {
  const options = new streams.ReadReq.Options()
  const uuid = new streams.ReadReq.Options.UUIDOption()
  uuid.setString(new shared.Empty())
  options.setUuidOption(uuid)
  options.setNoFilter(new shared.Empty())
  return options
}

/**
 * Asks for streams of users only, and of those for the ones with the prefix. Without one they are
 * those of the weir that has none: a prefix ends with a tilde, which no name of a stream has.
 */
export function filterStreams(options: ReadReq.Options, streamPrefix: string): void {
  const expression = new streams.ReadReq.Options.FilterOptions.Expression()
  // What the system writes for itself is in streams that begin with a dollar sign.
  if (streamPrefix === '') expression.setRegex('^[^$~][^~]*$')
  else expression.setPrefixList([streamPrefix])
  const filter = new streams.ReadReq.Options.FilterOptions()
  filter.setStreamIdentifier(expression)
  filter.setMax(searchWindowEvents)
  filter.setCheckpointintervalmultiplier(1)
  options.setFilter(filter)
}
