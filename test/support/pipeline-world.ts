import { accountAggregate } from '../../domain/aggregates.ts'
import type { Account } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import { accountStream } from '../../domain/account/account.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import type { NewEvent, RecordedEvent } from '../../domain/envelope.ts'
import { CommandPipeline } from '../../domain/pipeline/command-pipeline.ts'
import type { Handled } from '../../domain/pipeline/command-pipeline.ts'
import { EventStore, UnknownOutcome } from '../../domain/ports/event-store.ts'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../infra/memory/event-store.ts'
import { MemorySnapshotStore } from '../../infra/memory/snapshot-store.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { SimulatedIds } from '../../infra/simulated/ids.ts'

/** What may happen to an append on its way. */
export type Fault = 'answer lost' | 'request lost'

/** A store behind a bad line. */
export class FaultyEventStore extends EventStore {
  readonly #store: EventStore
  /** The faults of the next appends; an append without one goes through. */
  readonly faults: (Fault | null)[] = []
  /** Every append that was asked for. */
  readonly appends: { readonly expected: number; readonly events: readonly NewEvent[] }[] = []
  readonly readsFrom: number[] = []
  /** Events of a stream that this process has heard of by itself; null when it hears nothing. */
  heard: readonly RecordedEvent[] | null = null
  isDown = false
  /** What happens elsewhere while an append is on its way. */
  meanwhile: () => Promise<unknown> = () => Promise.resolve()

  constructor(store: EventStore) {
    super()
    this.#store = store
  }

  override async append(stream: string, expected: number, events: readonly NewEvent[]) {
    this.appends.push({ expected, events })
    const fault = this.faults.shift()
    if (this.isDown || fault === 'request lost') {
      await this.meanwhile()
      throw new UnknownOutcome('the line broke')
    }
    const revision = await this.#store.append(stream, expected, events)
    await this.meanwhile()
    if (fault === 'answer lost') throw new UnknownOutcome('the line broke')
    return revision
  }

  override async read(stream: string, fromRevision: number): Promise<readonly RecordedEvent[]> {
    this.readsFrom.push(fromRevision)
    if (this.isDown) throw new Error('cannot read events')
    return await this.#store.read(stream, fromRevision)
  }

  override recent(_stream: string, fromRevision: number): readonly RecordedEvent[] | null {
    if (!this.heard || this.heard.length < fromRevision) return null
    return this.heard.slice(fromRevision)
  }
}

export const orgId = 'acme'
export const stream = accountStream(orgId)

export type Writer = {
  readonly pipeline: CommandPipeline<Account, AccountCommand, AccountEvent>
  readonly store: FaultyEventStore
  readonly observed: { appended: number; conflicts: number }
  /** Issues a command with an id of its own. */
  readonly issue: (command: AccountCommand) => Promise<Handled<Account, AccountEvent>>
}

/** One log in memory, with any number of writers, each a pipeline as in a process of its own. */
export class PipelineWorld {
  readonly clock = new SimulatedClock()
  readonly ids = new SimulatedIds(1, this.clock)
  readonly log = new MemoryEventLog()
  readonly store = new MemoryEventStore(this.log)
  readonly snapshots = new MemorySnapshotStore()

  writer(): Writer {
    const { clock, ids, snapshots } = this
    const store = new FaultyEventStore(this.store)
    const observed = { appended: 0, conflicts: 0 }
    const observer = {
      appended: (_: string, count: number) => void (observed.appended += count),
      conflicted: () => void (observed.conflicts += 1),
    }
    const ports = { store, snapshots, clock, ids, observer }
    const pipeline = new CommandPipeline(accountAggregate, ports)
    const issue = (command: AccountCommand) => pipeline.handle(stream, command, this.context())
    return { pipeline, store, observed, issue }
  }

  context(commandId = this.ids.next()) {
    return { commandId, orgId, actor: 'key:k1', correlationId: 'c1', traceparent: null }
  }

  /** The types of the events in the log. */
  types(): readonly string[] {
    return this.log.events.map(({ type }) => type)
  }

  /** Lets time run until the promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    const progress = { isSettled: false }
    const settled = () => void (progress.isSettled = true)
    promise.then(settled, settled)
    while (!progress.isSettled) await this.clock.advance(1_000)
    return await promise
  }
}
