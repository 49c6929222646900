import { status, type Metadata, type ServiceError } from '@grpc/grpc-js'
import type { EndPoint } from './settings.ts'

/** Nothing is sent any more. */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed'

  constructor() {
    super('the connection to EventStoreDB is closed')
  }
}

/** A node answers, and can do nothing: it starts, gives up its lead, or has lost the others. */
export class NodeNotReady extends Error {
  override readonly name = 'NodeNotReady'
}

/** Errors after which another connection may do better: the node is gone, or not what it was. */
const connectionCodes: ReadonlySet<number> = new Set([
  ...[status.UNAVAILABLE, status.CANCELLED, status.INTERNAL, status.UNKNOWN],
])

/** Errors of a moment: the same call may succeed a little later. */
const passingCodes: ReadonlySet<number> = new Set([
  ...connectionCodes,
  ...[status.DEADLINE_EXCEEDED, status.ABORTED, status.RESOURCE_EXHAUSTED],
])

/**
 * What a server says when it failed at one read: at a position that is in the middle of an event,
 * or at what the disk holds there. The code is that of everything else that it did not foresee.
 */
const failedRead = /^Unexpected \w+Result: /

/** What no other node and no later try changes, only whoever runs the server. */
const refusals: ReadonlyMap<number, string> = new Map([
  [
    status.UNAUTHENTICATED,
    'EventStoreDB does not know the user of its connection string, or not by that password',
  ],
  [
    status.PERMISSION_DENIED,
    'the user of the connection string may not read that in EventStoreDB; $all is for $admins',
  ],
])

/** Why the server refuses whoever calls; null when the error is another one. */
export function refusalOf(error: unknown): string | null {
  return isServiceError(error) ? (refusals.get(error.code) ?? null) : null
}

/** Whether the node is as good as before, for everything but that read. */
export function isFailedRead(error: unknown): boolean {
  return isServiceError(error) && error.code === status.UNKNOWN && failedRead.test(error.details)
}

/** The node that must be asked instead; null when the error is another one. */
export function leaderOf(error: unknown): EndPoint | null {
  const metadata = isServiceError(error) ? (error.metadata as Metadata | undefined) : undefined
  if (text(metadata, 'exception') !== 'not-leader') return null
  const [address, port] = [
    text(metadata, 'leader-endpoint-host'),
    Number(text(metadata, 'leader-endpoint-port')),
  ]
  return address !== undefined && Number.isInteger(port) ? { address, port } : null
}

export function provesConnectionBad(error: unknown): boolean {
  if (error instanceof NodeNotReady) return true
  if (isFailedRead(error)) return false
  return isServiceError(error) && connectionCodes.has(error.code)
}

export function isPassing(error: unknown): boolean {
  if (error instanceof ConnectionClosed) return false
  return leaderOf(error) !== null || !isServiceError(error) || passingCodes.has(error.code)
}

function text(metadata: Metadata | undefined, name: string): string | undefined {
  return metadata?.get(name)[0]?.toString()
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as Partial<ServiceError>).code === 'number'
}
