import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import type { sendUnaryData, ServerDuplexStream, ServerReadableStream } from '@grpc/grpc-js'
import type { ServerUnaryCall } from '@grpc/grpc-js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import type { UUID } from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type {
  AppendReq,
  AppendResp,
  BatchAppendReq,
  BatchAppendResp,
  TombstoneReq,
  TombstoneResp,
} from '@eventstore/db-client/generated/streams_pb.js'
import type { AppendFault, Faults } from './faults.ts'
import type { AppendOutcome, ExpectedRevision, ProposedEvent, StandInLog } from './log.ts'
import * as messages from './messages.ts'

/** What a server takes in one append unless it is told otherwise. */
const appendBytesMax = 1_048_576
/** How long it waits for an append to be written before it says that it gives up. */
const giveUpMs = 2_000

type Proposed = AppendReq.ProposedMessage | BatchAppendReq.ProposedMessage
type Batch = { readonly options: BatchAppendReq.Options; readonly events: ProposedEvent[] }
type BatchCall = ServerDuplexStream<BatchAppendReq, BatchAppendResp>
type Outcome =
  | Exclude<AppendOutcome, { readonly kind: 'not ready' }>
  | { readonly kind: 'timeout' | 'busy' | 'node not ready' | 'too big' | 'denied' }

/** Streams/Append, BatchAppend and Tombstone. */
export class Writing {
  readonly #log: StandInLog
  readonly #faults: Faults

  constructor(log: StandInLog, faults: Faults) {
    this.#log = log
    this.#faults = faults
  }

  batchAppend(call: BatchCall): void {
    if (this.#faults.user === 'unknown') {
      call.emit('error', messages.unauthenticated())
      return
    }
    const batches = new Map<string, Batch>()
    let answersOwed = 0
    let isEnding = false
    call.on('data', (request: BatchAppendReq) => {
      const { leader } = this.#faults
      if (leader && requiresLeader(call)) {
        call.emit('error', messages.notLeader(leader))
        return
      }
      const correlation = messages.readUuid(request.getCorrelationId())
      const options = request.getOptions()
      if (options) batches.set(correlation, { options, events: [] })
      const batch = batches.get(correlation)
      if (!batch) return
      batch.events.push(...request.getProposedMessagesList().map(proposedEvent))
      if (!request.getIsFinal()) return
      batches.delete(correlation)
      answersOwed += 1
      const answer = (outcome: Outcome): void => {
        answersOwed -= 1
        if (call.cancelled || call.destroyed) return
        call.write(batchAnswer(request.getCorrelationId(), batch.options, outcome))
        if (isEnding && answersOwed === 0) call.end()
      }
      void this.#append(nameOf(batch.options), batchExpected(batch.options), batch.events, answer)
    })
    call.on('end', () => {
      isEnding = true
      if (answersOwed === 0) call.end()
    })
    call.on('error', () => undefined)
  }

  append(
    call: ServerReadableStream<AppendReq, AppendResp>,
    callback: sendUnaryData<AppendResp>,
  ): void {
    let options: AppendReq.Options | undefined
    const events: ProposedEvent[] = []
    call.on('data', (request: AppendReq) => {
      options ??= request.getOptions()
      const message = request.getProposedMessage()
      if (message) events.push(proposedEvent(message))
    })
    call.on('error', () => undefined)
    call.on('end', () => {
      const { leader, user } = this.#faults
      if (user === 'unknown') {
        callback(messages.unauthenticated())
        return
      }
      if (!options || (leader && requiresLeader(call))) {
        callback(leader ? messages.notLeader(leader) : { code: status.INVALID_ARGUMENT })
        return
      }
      const [name, expected] = [nameOf(options), appendExpected(options)]
      const answer = (outcome: Outcome): void => appendAnswer(callback, name, expected, outcome)
      void this.#append(name, expected, events, answer)
    })
  }

  async tombstone(
    call: ServerUnaryCall<TombstoneReq, TombstoneResp>,
    callback: sendUnaryData<TombstoneResp>,
  ): Promise<void> {
    const options = call.request.getOptions()
    if (!options) {
      callback({ code: status.INVALID_ARGUMENT })
      return
    }
    await this.#log.delete(nameOf(options))
    callback(null, new streams.TombstoneResp())
  }

  async #append(
    name: string,
    expected: ExpectedRevision,
    events: readonly ProposedEvent[],
    answer: (outcome: Outcome) => void,
  ): Promise<void> {
    if (this.#faults.user === 'anonymous') {
      answer({ kind: 'denied' })
      return
    }
    const fault = this.#faults.takeAppendFault()
    if (fault === 'silence') return
    if (fault === 'timeout' || fault === 'busy') {
      answer({ kind: fault })
      return
    }
    if (fault === 'not ready') {
      answer({ kind: 'node not ready' })
      return
    }
    const bytes = events.reduce((sum, event) => sum + bytesOf(event), 0)
    if (bytes > this.#faults.appendBytesMax) {
      answer({ kind: 'too big' })
      return
    }
    const outcome = await this.#log.append(name, expected, events)
    if (outcome.kind === 'not ready') {
      await sleep(giveUpMs, undefined, { ref: false })
      answer({ kind: 'timeout' })
      return
    }
    this.#answerLike(fault, () => answer(outcome), answer)
  }

  #answerLike(
    fault: AppendFault | null,
    answerOutcome: () => void,
    answer: (outcome: Outcome) => void,
  ): void {
    if (fault === 'silence after commit') return
    if (fault === 'timeout after commit') answer({ kind: 'timeout' })
    else if (fault === 'late answer') this.#faults.holdAnswer(answerOutcome)
    else answerOutcome()
  }
}

type Named = { getStreamIdentifier(): { getStreamName_asU8(): Uint8Array } | undefined }

function nameOf(options: Named): string {
  const bytes = options.getStreamIdentifier()?.getStreamName_asU8() ?? new Uint8Array()
  return Buffer.from(bytes).toString('utf8')
}

function requiresLeader(call: { readonly metadata: BatchCall['metadata'] }): boolean {
  return call.metadata.get('requires-leader')[0] === 'true'
}

/** What an event takes on the server's disk. */
function bytesOf({ type, data, meta }: ProposedEvent): number {
  return 2 * type.length + data.length + meta.length
}

function proposedEvent(message: Proposed): ProposedEvent {
  const metadata = message.getMetadataMap()
  return {
    id: messages.readUuid(message.getId()),
    type: metadata.get('type') ?? '',
    isJson: metadata.get('content-type') === 'application/json',
    data: Buffer.from(message.getData_asU8()),
    meta: Buffer.from(message.getCustomMetadata_asU8()),
  }
}

function batchExpected(options: BatchAppendReq.Options): ExpectedRevision {
  if (options.hasNoStream()) return 'no stream'
  if (options.hasAny()) return 'any'
  if (options.hasStreamExists()) return 'stream exists'
  return Number(options.getStreamPosition())
}

function appendExpected(options: AppendReq.Options): ExpectedRevision {
  if (options.hasNoStream()) return 'no stream'
  if (options.hasAny()) return 'any'
  if (options.hasStreamExists()) return 'stream exists'
  return Number(options.getRevision())
}

function batchAnswer(
  correlation: UUID | undefined,
  options: BatchAppendReq.Options,
  outcome: Outcome,
): BatchAppendResp {
  const response = new streams.BatchAppendResp()
  response.setCorrelationId(correlation)
  response.setStreamIdentifier(options.getStreamIdentifier())
  switch (outcome.kind) {
    case 'appended': {
      const success = new streams.BatchAppendResp.Success()
      success.setCurrentRevision(String(outcome.revision))
      const position = new shared.AllStreamPosition()
      position.setCommitPosition(String(outcome.position))
      position.setPreparePosition(String(outcome.position))
      success.setPosition(position)
      response.setSuccess(success)
      break
    }
    case 'wrong revision':
      response.setError(messages.wrongRevisionStatus(batchExpected(options), outcome.current))
      break
    case 'deleted':
      response.setError(messages.deletedStatus())
      break
    case 'denied':
      response.setError(messages.accessDeniedStatus())
      break
    case 'timeout':
      response.setError(messages.timeoutStatus())
      break
    case 'busy':
      response.setError(messages.busyStatus())
      break
    case 'node not ready':
      response.setError(messages.notReadyStatus())
      break
    case 'too big':
      response.setError(messages.tooBigStatus(appendBytesMax))
  }
  return response
}

function appendAnswer(
  callback: sendUnaryData<AppendResp>,
  name: string,
  expected: ExpectedRevision,
  outcome: Outcome,
): void {
  const response = new streams.AppendResp()
  switch (outcome.kind) {
    case 'appended': {
      const success = new streams.AppendResp.Success()
      success.setCurrentRevision(String(outcome.revision))
      const position = new streams.AppendResp.Position()
      position.setCommitPosition(String(outcome.position))
      position.setPreparePosition(String(outcome.position))
      success.setPosition(position)
      response.setSuccess(success)
      return callback(null, response)
    }
    case 'wrong revision': {
      const wrong = new streams.AppendResp.WrongExpectedVersion()
      if (outcome.current === null) wrong.setCurrentNoStream(new shared.Empty())
      else wrong.setCurrentRevision(String(outcome.current))
      if (typeof expected === 'number') wrong.setExpectedRevision(String(expected))
      else if (expected === 'no stream') wrong.setExpectedNoStream(new shared.Empty())
      else if (expected === 'any') wrong.setExpectedAny(new shared.Empty())
      else wrong.setExpectedStreamExists(new shared.Empty())
      response.setWrongExpectedVersion(wrong)
      return callback(null, response)
    }
    case 'deleted':
      return callback(messages.streamError('stream-deleted', { 'stream-name': name }))
    case 'denied':
      return callback(messages.accessDenied())
    case 'timeout':
      return callback({ code: status.ABORTED, details: 'Operation timed out' })
    case 'busy':
      return callback({ code: status.UNAVAILABLE, details: 'Server Is Too Busy' })
    case 'node not ready':
      return callback({ code: status.UNAVAILABLE, details: 'Server Is Not Ready' })
    case 'too big': {
      const bytesMax = String(appendBytesMax)
      const fields = { 'maximum-append-size': bytesMax }
      return callback(messages.streamError('maximum-append-size-exceeded', fields))
    }
  }
}
