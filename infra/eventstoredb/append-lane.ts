import { createUUID, parseUUID } from '@eventstore/db-client/dist/utils/grpcUUID.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js'
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import {
  AppendTooBig,
  NO_STREAM,
  RevisionConflict,
  UnknownOutcome,
} from '../../domain/ports/event-store.ts'
import type { EventText } from '../event-text.ts'
import { metaText } from './our-event.ts'
import type { EventStoreDbConnection, Link } from './connection.ts'
import { NodeNotReady, refusalOf } from './errors.ts'

/** An append under way. It is over when it was settled or given up; what comes later is ignored. */
export type Append = {
  /** A uuid of this very try. */
  readonly correlationId: string
  /** The name that the server knows. */
  readonly streamName: string
  readonly stream: string
  readonly expected: number
  readonly events: readonly EventText[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  /** Tries it once more, for as long as it is not over. */
  readonly repeat: () => void
  readonly isOver: () => boolean
}

/** Errors that say of an append that it was not written and never will be. */
const definiteErrors: ReadonlyMap<string, string> = new Map([
  ['event_store.client.StreamDeleted', 'the stream was deleted'],
  ['event_store.client.BadRequest', 'the server does not understand the append'],
])
/** The same of one that may be written in smaller parts: an operator has lowered the limit. */
const tooBigErrors: ReadonlyMap<string, string> = new Map([
  ['event_store.client.MaximumAppendSizeExceeded', 'the server takes only smaller appends'],
  ['event_store.client.MaximumAppendEventSizeExceeded', 'the server takes only smaller events'],
])
const wrongRevision = 'event_store.client.WrongExpectedVersion'
/** Not written either, and yet no fault of the append: who may write is for the server to say. */
const accessDenied = 'event_store.client.AccessDenied'
/**
 * What a server says when an append was not written within some two seconds. So it answers also
 * each repeat of one that is written and cannot be read yet: it drops those, and takes them later.
 */
const gaveUp = 'event_store.client.Timeout'
/** Nodes have only these words for it. */
const notReady: ReadonlySet<string> = new Set([
  ...['Server Is Not Ready', 'No leader info available in response'],
])

/**
 * One BatchAppend call: every append is a message in one stream, answered on another one by its
 * correlation id, so that many small appends share a call. What is in it when it breaks has an
 * unknown outcome.
 *
 * No deadline is sent: the server would read it as a time on its own clock.
 */
export class AppendLane {
  readonly link: Link
  readonly #connection: EventStoreDbConnection
  readonly #call: ClientDuplexStream<BatchAppendReq, BatchAppendResp>
  readonly #sent = new Map<string, { readonly append: Append; readonly answersBefore: number }>()
  /** What waits while the connection takes no more. */
  #waiting: Append[] = []
  #answers = 0
  #isFull = false
  #isBroken = false

  constructor(connection: EventStoreDbConnection, link: Link) {
    this.link = link
    this.#connection = connection
    this.#call = link.streams.batchAppend(connection.metadata)
    this.#call.on('data', (response: BatchAppendResp) => this.#answered(response))
    this.#call.on('drain', () => {
      this.#isFull = false
      this.#pump()
    })
    this.#call.on('error', (error: Error) => this.#break(error))
    this.#call.on('end', () => this.#break(new Error('the server ended the call')))
    const dropped = (): void => this.#break(new Error('the connection was dropped'))
    link.dropped.addEventListener('abort', dropped, { once: true })
  }

  get isBroken(): boolean {
    return this.#isBroken
  }

  send(append: Append): void {
    this.#waiting.push(append)
    this.#pump()
  }

  /** Nobody waits for the append any more. When nothing was answered since, the lane is dead. */
  giveUp({ correlationId }: Append): void {
    const sent = this.#sent.get(correlationId)
    this.#sent.delete(correlationId)
    if (sent?.answersBefore !== this.#answers) return
    if (this.#connection.silent(this.link)) this.#break(new Error('the server does not answer'))
  }

  #pump(): void {
    while (!this.#isFull && !this.#isBroken) {
      const append = this.#waiting.shift()
      if (!append) return
      if (append.isOver()) continue
      this.#sent.set(append.correlationId, { append, answersBefore: this.#answers })
      this.#isFull = !this.#call.write(request(append))
    }
  }

  #answered(response: BatchAppendResp): void {
    this.#connection.answered()
    this.#answers += 1
    const correlationId = parseUUID(response.getCorrelationId()) ?? ''
    const append = this.#sent.get(correlationId)?.append
    this.#sent.delete(correlationId)
    if (!append) return
    if (response.hasSuccess()) {
      append.resolve()
      return
    }
    const { details, said } = problemOf(response)
    if (details === gaveUp) append.repeat()
    else append.reject(refusal(details, said, append))
    if (notReady.has(said)) this.#break(new NodeNotReady(said))
  }

  #break(cause: Error): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.#connection.failed(this.link, cause)
    this.#call.cancel()
    const sent = [...this.#sent.values()].map(({ append }) => append)
    const why = refusalOf(cause) ?? 'the event store did not answer'
    for (const append of [...sent, ...this.#waiting]) {
      append.reject(new UnknownOutcome(why, { cause }))
    }
    this.#sent.clear()
    this.#waiting = []
  }
}

function request({ correlationId, streamName, expected, events }: Append): BatchAppendReq {
  const options = new streams.BatchAppendReq.Options()
  const identifier = new shared.StreamIdentifier()
  identifier.setStreamName(Buffer.from(streamName))
  options.setStreamIdentifier(identifier)
  // The package itself sends its own empty message here; on the wire they are the same.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- see above
  if (expected === NO_STREAM) options.setNoStream(new shared.Empty())
  else options.setStreamPosition(String(expected))
  const message = new streams.BatchAppendReq()
  message.setCorrelationId(createUUID(correlationId))
  message.setOptions(options)
  message.setProposedMessagesList(events.map(proposal))
  message.setIsFinal(true)
  return message
}

function proposal(event: EventText): BatchAppendReq.ProposedMessage {
  const { id, type, data } = event
  const message = new streams.BatchAppendReq.ProposedMessage()
  message.setId(createUUID(id))
  message.getMetadataMap().set('type', type).set('content-type', 'application/json')
  message.setData(Buffer.from(data))
  message.setCustomMetadata(Buffer.from(metaText(event)))
  return message
}

function problemOf(response: BatchAppendResp): { details: string; said: string } {
  const error = response.getError()
  return { details: error?.getDetails()?.getTypeName() ?? '', said: error?.getMessage() ?? '' }
}

function refusal(details: string, said: string, { stream, expected }: Append): Error {
  if (details === wrongRevision) return new RevisionConflict(stream, expected)
  if (details === accessDenied) {
    return new EngineUnavailable(`the user of the connection string may not write to ${stream}`)
  }
  const tooBig = tooBigErrors.get(details)
  if (tooBig !== undefined) {
    return new AppendTooBig(`cannot append to ${stream}: ${tooBig} (${said})`)
  }
  const definite = definiteErrors.get(details)
  if (definite !== undefined) return new Error(`cannot append to ${stream}: ${definite} (${said})`)
  return new UnknownOutcome(`the event store answered: ${said}`)
}
