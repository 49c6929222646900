import { randomUUID } from 'node:crypto'
import { status } from '@grpc/grpc-js'
import type { ServerWritableStream, StatusObject } from '@grpc/grpc-js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import type { Faults } from './faults.ts'
import type { StandInLog } from './log.ts'
import * as messages from './messages.ts'
import type { StandInRecord } from './record.ts'

type Call = ServerWritableStream<ReadReq, ReadResp>
type Options = ReadReq.Options
type Filter = (record: StandInRecord) => boolean

const { BACKWARDS: backwards } = streams.ReadReq.Options.ReadDirection
/** A filtered subscription looks at so many records, times the client's factor, per checkpoint. */
const checkpointRecords = 32

/** Streams/Read: streams and $all, forwards, backwards and as subscriptions. */
export class Reading {
  readonly #log: StandInLog
  readonly #faults: Faults
  readonly #subscriptions = new Set<Call>()

  constructor(log: StandInLog, faults: Faults) {
    this.#log = log
    this.#faults = faults
  }

  /** Subscriptions that are open. */
  get subscriptions(): number {
    return this.#subscriptions.size
  }

  dropSubscriptions(error: Partial<StatusObject>): void {
    for (const call of this.#subscriptions) call.emit('error', error)
  }

  async handle(call: Call): Promise<void> {
    if (this.#faults.areReadsSilent) return
    const { leader, user } = this.#faults
    const options = call.request.getOptions()
    const isLive = options?.hasSubscription() === true && options.getAll()?.hasEnd() === true
    if (user === 'unknown') {
      call.emit('error', messages.unauthenticated())
    } else if (user === 'anonymous' || (user === 'no admin' && options?.hasAll())) {
      call.emit('error', messages.accessDenied())
    } else if (leader && !isLive && call.metadata.get('requires-leader')[0] === 'true') {
      // Only what is read is the leader's: what comes from now on, any node tells.
      call.emit('error', messages.notLeader(leader))
    } else if (!options?.getUuidOption()) {
      call.emit('error', { code: status.INVALID_ARGUMENT, details: 'uuidOption is required' })
    } else if (options.hasSubscription()) {
      await this.#subscribe(call, options)
    } else {
      await this.#read(call, options)
    }
  }

  async #read(call: Call, options: Options): Promise<void> {
    const name = streamName(options)
    const stream = name === null ? null : this.#log.stream(name)
    if (name !== null && name === this.#faults.brokenStream) {
      call.emit('error', messages.readError('ReadStreamResult: Error'))
      return
    }
    const position = options.getAll()?.getPosition()?.getCommitPosition()
    if (position !== undefined && !this.#log.isPlace(BigInt(position))) {
      call.emit('error', messages.readError('FilteredReadAllResult: InvalidPosition'))
      return
    }
    if (name !== null && !stream) {
      await send(call, messages.notFoundMessage(name))
    } else if (name !== null && stream?.isDeleted) {
      call.emit('error', messages.streamError('stream-deleted', { 'stream-name': name }))
      return
    } else {
      const records = stream ? streamRecords(stream.records, options) : this.#all(options)
      let left = Number(options.getCount())
      for (const record of records) {
        if (left === 0) break
        left -= 1
        if (!(await send(call, messages.eventMessage(record)))) return
      }
    }
    call.end()
  }

  *#all(options: Options): Generator<StandInRecord, void> {
    const accepts = filterOf(options)
    const isBackwards = options.getReadDirection() === backwards
    const step = isBackwards ? -1 : 1
    for (let at = this.#startOf(options, isBackwards); ; at += step) {
      const record = at < this.#log.visible ? this.#log.at(at) : undefined
      if (!record) return
      if (accepts(record)) yield record
    }
  }

  #startOf(options: Options, isBackwards: boolean): number {
    const all = options.getAll()
    const position = all?.getPosition()
    const isEnd = all?.hasEnd() === true
    if (!position) return isEnd ? this.#log.visible - (isBackwards ? 1 : 0) : 0
    const at = this.#log.indexOf(BigInt(position.getCommitPosition()))
    return isBackwards ? at - 1 : at
  }

  async #subscribe(call: Call, options: Options): Promise<void> {
    const name = streamName(options)
    this.#subscriptions.add(call)
    const closed = new AbortController()
    for (const event of ['cancelled', 'error', 'close']) call.once(event, () => closed.abort())
    closed.signal.addEventListener('abort', () => this.#subscriptions.delete(call))
    let at = name === null ? this.#afterStart(options) : this.#afterRevision(name, options)
    await send(call, messages.confirmationMessage(randomUUID()))
    const accepts = filterOf(options)
    const everyRecords =
      checkpointRecords * (options.getFilter()?.getCheckpointintervalmultiplier() ?? Infinity)
    for (let isCaughtUp = false; !closed.signal.aborted;) {
      const record = at < this.#log.visible ? this.#log.at(at) : undefined
      if (!record) {
        if (!isCaughtUp) await send(call, messages.caughtUpMessage())
        isCaughtUp = true
        await this.#growth(at, closed.signal)
        continue
      }
      at += 1
      const isOf = name === null || record.stream === name
      if (isOf && accepts(record)) await send(call, messages.eventMessage(record))
      if (at % everyRecords === 0) await send(call, messages.checkpointMessage(record.position))
    }
  }

  /** A subscription goes on after its position; a read begins with it. */
  #afterStart(options: Options): number {
    const at = this.#startOf(options, false)
    const position = options.getAll()?.getPosition()
    const isThere = String(this.#log.at(at)?.position) === position?.getCommitPosition()
    return isThere ? at + 1 : at
  }

  #afterRevision(name: string, options: Options): number {
    const stream = options.getStream()
    if (stream?.hasEnd()) return this.#log.visible
    if (!stream?.hasRevision()) return 0
    const record = this.#log.stream(name)?.records[Number(stream.getRevision())]
    return record ? this.#log.indexOf(BigInt(record.position)) + 1 : 0
  }

  #growth(at: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        stop()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const stop = this.#log.onGrowth(done)
      signal.addEventListener('abort', done)
      if (signal.aborted || this.#log.visible > at) done()
    })
  }
}

function streamName(options: Options): string | null {
  const identifier = options.getStream()?.getStreamIdentifier()
  return identifier ? Buffer.from(identifier.getStreamName_asU8()).toString('utf8') : null
}

function streamRecords(records: readonly StandInRecord[], options: Options) {
  const stream = options.getStream()
  const revision = stream?.hasRevision() ? Number(stream.getRevision()) : null
  if (options.getReadDirection() !== backwards) {
    return stream?.hasEnd() ? [] : records.slice(revision ?? 0)
  }
  if (stream?.hasStart()) return records.slice(0, 1)
  return records.slice(0, revision === null ? undefined : revision + 1).reverse()
}

function filterOf(options: Options): Filter {
  const filter = options.getFilter()
  const expression = filter?.getStreamIdentifier() ?? filter?.getEventType()
  if (!filter || !expression) return () => true
  const text = filter.hasStreamIdentifier()
    ? (record: StandInRecord) => record.stream
    : (record: StandInRecord) => record.type
  if (expression.getRegex() === '') {
    const prefixes = expression.getPrefixList()
    return (record) => prefixes.some((prefix) => text(record).startsWith(prefix))
  }
  const pattern = new RegExp(expression.getRegex())
  return (record) => pattern.test(text(record))
}

/** False when nobody listens any more. */
async function send(call: Call, message: ReadResp): Promise<boolean> {
  if (call.cancelled || call.destroyed || call.writableEnded) return false
  if (!call.write(message)) await drained(call)
  return true
}

function drained(call: Call): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of drainEvents) call.off(event, done)
      resolve()
    }
    for (const event of drainEvents) call.once(event, done)
  })
}

const drainEvents = ['drain', 'cancelled', 'error', 'close']
