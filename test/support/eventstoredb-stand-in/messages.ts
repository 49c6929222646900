import { createRequire } from 'node:module'
import { Metadata, status } from '@grpc/grpc-js'
import type { StatusObject } from '@grpc/grpc-js'
import codes from '@eventstore/db-client/generated/code_pb.js'
import type { Code } from '@eventstore/db-client/generated/code_pb.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import type { UUID, WrongExpectedVersion } from '@eventstore/db-client/generated/shared_pb.js'
import statusMessages from '@eventstore/db-client/generated/status_pb.js'
import type { Status } from '@eventstore/db-client/generated/status_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import type { Leader } from './faults.ts'
import type { ExpectedRevision } from './log.ts'
import type { StandInRecord } from './record.ts'

// What a server says, in the client package's own messages.

type AnyMessage = NonNullable<ReturnType<Status['getDetails']>>
type EmptyMessage = NonNullable<ReturnType<WrongExpectedVersion['getCurrentNoStream']>>

// The package has a copy of google-protobuf of its own: messages of another one are not its own.
const requireAsClient = createRequire(
  createRequire(import.meta.url).resolve('@eventstore/db-client'),
)
const { Any, Empty } = {
  ...requireAsClient('google-protobuf/google/protobuf/any_pb.js'),
  ...requireAsClient('google-protobuf/google/protobuf/empty_pb.js'),
} as { readonly Any: new () => AnyMessage; readonly Empty: new () => EmptyMessage }

const ticksPerMs = 10_000n

export function readUuid(uuid: UUID | undefined): string {
  const structured = uuid?.getStructured()
  if (!structured) return uuid?.getString() ?? ''
  const half = (bits: string): string => BigInt.asUintN(64, BigInt(bits)).toString(16)
  const digits = [structured.getMostSignificantBits(), structured.getLeastSignificantBits()]
    .map((bits) => half(bits).padStart(16, '0'))
    .join('')
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

export function eventMessage(record: StandInRecord): ReadResp {
  const recorded = new streams.ReadResp.ReadEvent.RecordedEvent()
  const id = new shared.UUID()
  id.setString(record.id)
  recorded.setId(id)
  const identifier = new shared.StreamIdentifier()
  identifier.setStreamName(Buffer.from(record.stream))
  recorded.setStreamIdentifier(identifier)
  recorded.setStreamRevision(String(record.revision))
  recorded.setCommitPosition(String(record.position))
  recorded.setPreparePosition(String(record.position))
  const metadata = recorded.getMetadataMap()
  metadata.set('type', record.type)
  metadata.set('created', String(BigInt(record.createdMs) * ticksPerMs + ticksPerMs - 1n))
  metadata.set('content-type', record.isJson ? 'application/json' : 'application/octet-stream')
  recorded.setData(record.data)
  recorded.setCustomMetadata(record.meta)
  const event = new streams.ReadResp.ReadEvent()
  event.setEvent(recorded)
  event.setCommitPosition(String(record.position))
  const response = new streams.ReadResp()
  response.setEvent(event)
  return response
}

export function confirmationMessage(id: string): ReadResp {
  const confirmation = new streams.ReadResp.SubscriptionConfirmation()
  confirmation.setSubscriptionId(id)
  const response = new streams.ReadResp()
  response.setConfirmation(confirmation)
  return response
}

export function caughtUpMessage(): ReadResp {
  const response = new streams.ReadResp()
  response.setCaughtUp(new streams.ReadResp.CaughtUp())
  return response
}

export function checkpointMessage(position: number): ReadResp {
  const checkpoint = new streams.ReadResp.Checkpoint()
  checkpoint.setCommitPosition(String(position))
  checkpoint.setPreparePosition(String(position))
  const response = new streams.ReadResp()
  response.setCheckpoint(checkpoint)
  return response
}

export function notFoundMessage(stream: string): ReadResp {
  const notFound = new streams.ReadResp.StreamNotFound()
  const identifier = new shared.StreamIdentifier()
  identifier.setStreamName(Buffer.from(stream))
  notFound.setStreamIdentifier(identifier)
  const response = new streams.ReadResp()
  response.setStreamNotFound(notFound)
  return response
}

/** The error of one append among the others of its call. */
function statusMessage(code: Code, message: string, details: Details): Status {
  const answer = new statusMessages.Status()
  answer.setCode(code)
  answer.setMessage(message)
  const any = new Any()
  any.pack(details.message.serializeBinary(), details.name)
  answer.setDetails(any)
  return answer
}

type Details = {
  readonly name: string
  readonly message: { serializeBinary(): Uint8Array }
}

export function wrongRevisionStatus(expected: ExpectedRevision, current: number | null): Status {
  const message = new shared.WrongExpectedVersion()
  if (current === null) message.setCurrentNoStream(new Empty())
  else message.setCurrentStreamRevision(String(current))
  if (expected === 'no stream') message.setExpectedNoStream(new Empty())
  else if (expected === 'any') message.setExpectedAny(new Empty())
  else if (expected === 'stream exists') message.setExpectedStreamExists(new Empty())
  else message.setExpectedStreamPosition(String(expected))
  const name = 'event_store.client.WrongExpectedVersion'
  return statusMessage(codes.Code.ALREADY_EXISTS, 'WrongExpectedVersion', { name, message })
}

export const timeoutStatus = (): Status =>
  statusMessage(codes.Code.DEADLINE_EXCEEDED, 'Timeout', {
    ...{ name: 'event_store.client.Timeout', message: new shared.Timeout() },
  })

/** An append that the node did not look at; `code` is left as it is. */
const notHandledStatus = (why: string): Status =>
  statusMessage(codes.Code.OK, why, {
    ...{ name: 'google.protobuf.Empty', message: new Empty() },
  })

export const busyStatus = (): Status => notHandledStatus('Server Is Busy')

export const notReadyStatus = (): Status => notHandledStatus('Server Is Not Ready')

export const accessDeniedStatus = (): Status =>
  statusMessage(codes.Code.PERMISSION_DENIED, 'AccessDenied', {
    ...{ name: 'event_store.client.AccessDenied', message: new shared.AccessDenied() },
  })

export const deletedStatus = (): Status =>
  statusMessage(codes.Code.NOT_FOUND, 'StreamDeleted', {
    ...{ name: 'event_store.client.StreamDeleted', message: new shared.StreamDeleted() },
  })

export function tooBigStatus(bytesMax: number): Status {
  const message = new shared.MaximumAppendSizeExceeded()
  message.setMaxappendsize(bytesMax)
  const name = 'event_store.client.MaximumAppendSizeExceeded'
  return statusMessage(codes.Code.INVALID_ARGUMENT, 'MaximumAppendSizeExceeded', { name, message })
}

/** How a call of somebody ends whom the server does not know. */
export const unauthenticated = (): Partial<StatusObject> => {
  return { code: status.UNAUTHENTICATED, details: 'Unauthenticated' }
}

/** How a read ends that met with something on the disk that it could not make sense of. */
export const readError = (result: string): Partial<StatusObject> => {
  return { code: status.UNKNOWN, details: `Unexpected ${result}` }
}

/** How a call of somebody ends who may not do that. */
export function accessDenied(): Partial<StatusObject> {
  const metadata = new Metadata()
  metadata.set('exception', 'access-denied')
  return { code: status.PERMISSION_DENIED, details: 'Access Denied', metadata }
}

/** How a call ends that another node must be asked for. */
export function notLeader({ host, port }: Leader): Partial<StatusObject> {
  const metadata = new Metadata()
  metadata.set('exception', 'not-leader')
  metadata.set('leader-endpoint-host', host)
  metadata.set('leader-endpoint-port', String(port))
  return { code: status.NOT_FOUND, details: 'Leader info available', metadata }
}

/** How a call about one stream ends, with what the client package makes its errors of. */
export function streamError(
  exception: 'wrong-expected-version' | 'stream-deleted' | 'maximum-append-size-exceeded',
  fields: Readonly<Record<string, string>>,
): Partial<StatusObject> {
  const metadata = new Metadata()
  metadata.set('exception', exception)
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
  return { code: status.FAILED_PRECONDITION, details: exception, metadata }
}
