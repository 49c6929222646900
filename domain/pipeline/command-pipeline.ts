import { assert } from '../assert.ts'
import type { NewEvent, RecordedEvent } from '../envelope.ts'
import { DomainError } from '../errors.ts'
import { isoTime } from '../ports/clock.ts'
import type { Clock } from '../ports/clock.ts'
import {
  appendCountMax,
  AppendTooBig,
  NO_STREAM,
  readAll,
  RevisionConflict,
  UnknownOutcome,
} from '../ports/event-store.ts'
import type { EventStore } from '../ports/event-store.ts'
import type { Ids } from '../ports/ids.ts'
import type { SnapshotStore } from '../ports/snapshot-store.ts'
import type { Aggregate, StorableEvent } from './aggregate.ts'
import { Pacer } from './pacer.ts'

/**
 * The way of every command: load, decide, append; retry on conflict; repeat an unknown outcome
 * with the same ids.
 *
 * Commands on one stream that arrive while an append is in flight form the next batch: one load,
 * one append, and each command gets its own answer. A refusal, or "already done", is only answered
 * from a state that was current: either an append at its revision succeeded, or it was just read.
 */

/** Commands decided together at most. */
const batchMax = 500
/** Appends of one batch that may lose against other writers. */
const conflictsMax = 200
/** Repetitions of an append whose outcome is unknown. */
const unknownMax = 8
/** States kept in memory, least recently used ones go first. */
const cachedMax = 5_000
/** Longest random pause after a lost race, ms. */
const conflictPauseMsMax = 4
/** So often it doubles while who has won cannot be read yet. */
const unseenMax = 6

/** Who asks, and what for: becomes the metadata of the events. */
export type CommandContext = {
  /**
   * A uuid, unique per command; a reaction derives it from its cause. Event ids follow from it,
   * and the first one is it.
   */
  readonly commandId: string
  readonly orgId: string
  readonly actor: string
  readonly correlationId: string
  readonly traceparent: string | null
}

/** A state and where in its stream it stands. */
export type Loaded<State> = { readonly state: State; readonly revision: number }

/** What a command did. */
export type Handled<State, Event> = Loaded<State> & { readonly events: readonly Event[] }

/** Sees what the pipeline does; for metrics. */
export type PipelineObserver = {
  readonly appended: (category: string, count: number, ms: number) => void
  readonly conflicted: (category: string) => void
}

export type PipelinePorts = {
  readonly store: EventStore
  readonly snapshots: SnapshotStore
  readonly clock: Clock
  readonly ids: Ids
  readonly observer: PipelineObserver
}

type Waiting<State, Command, Event> = {
  readonly command: Command
  readonly context: CommandContext
  readonly resolve: (handled: Handled<State, Event>) => void
  readonly reject: (error: unknown) => void
}

type Answer<State, Event> =
  { readonly handled: Handled<State, Event> } | { readonly refusal: DomainError }

export class CommandPipeline<State, Command, Event extends StorableEvent> {
  readonly #aggregate: Aggregate<State, Command, Event>
  readonly #ports: PipelinePorts
  readonly #pacer: Pacer
  readonly #loads = new Map<string, Promise<Loaded<State>>>()
  readonly #cache = new Map<string, Loaded<State>>()
  readonly #waiting = new Map<string, Waiting<State, Command, Event>[]>()
  readonly #snapshotAt = new Map<string, number>()

  /** @param pacer shared by the pipelines of a process, so that their appends go together */
  constructor(
    aggregate: Aggregate<State, Command, Event>,
    ports: PipelinePorts,
    pacer = new Pacer(ports.clock),
  ) {
    this.#aggregate = aggregate
    this.#ports = ports
    this.#pacer = pacer
  }

  get #nothing(): Loaded<State> {
    return { state: this.#aggregate.decider.initial, revision: NO_STREAM }
  }

  /** @throws DomainError when the command is refused or the store cannot be reached */
  handle(stream: string, command: Command, context: CommandContext) {
    return new Promise<Handled<State, Event>>((resolve, reject) => {
      const waiting = { command, context, resolve, reject }
      const queue = this.#waiting.get(stream)
      if (queue) {
        queue.push(waiting)
        return
      }
      this.#waiting.set(stream, [waiting])
      void this.#drain(stream)
    })
  }

  /** The state as it is now. Whoever asks before the stream is read shares the reading. */
  load(stream: string): Promise<Loaded<State>> {
    const shared = this.#loads.get(stream)
    if (shared) return shared
    const load = this.#pacer.beat().then(() => {
      this.#loads.delete(stream)
      return this.#load(stream)
    })
    this.#loads.set(stream, load)
    return load
  }

  /** The state as it was last seen here, without a look at the store; undefined when never. */
  peek(stream: string): State | undefined {
    return this.#cache.get(stream)?.state
  }

  /**
   * The state as far as this process has heard of it, read only when it has heard nothing: enough
   * for a command, which is decided anew when the state turns out to be old.
   */
  async glance(stream: string): Promise<Loaded<State>> {
    return this.#heard(stream, this.#cache.get(stream) ?? this.#nothing) ?? this.load(stream)
  }

  /** Reads what the stream has gained since it was last seen. */
  async #load(stream: string): Promise<Loaded<State>> {
    const known = this.#cache.get(stream) ?? (await this.#fromSnapshot(stream))
    const events = await this.#read(stream, known.revision + 1)
    return this.#remember(stream, this.#advance(known, events))
  }

  /** Forgets a state that will hardly be needed again, such as that of a finished job. */
  forget(stream: string): void {
    this.#cache.delete(stream)
  }

  async #drain(stream: string): Promise<void> {
    for (;;) {
      await this.#pacer.beat()
      const queue = this.#waiting.get(stream) ?? []
      if (queue.length === 0) break
      const batch = queue.splice(0, batchMax)
      try {
        const answers = await this.#execute(stream, batch)
        queue.unshift(...batch.slice(answers.length))
        answers.forEach((answer, index) => reply(batch[index], answer))
      } catch (error) {
        this.#cache.delete(stream)
        for (const waiting of batch) waiting.reject(error)
      }
    }
    this.#waiting.delete(stream)
  }

  async #execute(
    stream: string,
    batch: readonly Waiting<State, Command, Event>[],
  ): Promise<readonly Answer<State, Event>[]> {
    try {
      return await this.#write(stream, batch)
    } catch (error) {
      if (!(error instanceof AppendTooBig) || batch.length === 1) throw error
      // What is left without an answer is for the next batch.
      return await this.#execute(stream, batch.slice(0, Math.ceil(batch.length / 2)))
    }
  }

  async #write(stream: string, batch: readonly Waiting<State, Command, Event>[]) {
    let known = this.#known(stream, batch)
    let fresh = known === undefined
    known ??= await this.#load(stream)
    let unseen = 0
    for (let conflicts = 0; ; conflicts++) {
      const decided = this.#decide(known, batch)
      if (decided.events.length === 0) {
        if (fresh) return decided.answers
      } else if (await this.#append(stream, known.revision, decided.events)) {
        this.#remember(stream, decided.loaded)
        this.#snapshotWhenDue(stream, decided.loaded)
        return decided.answers
      }
      if (conflicts >= conflictsMax) throw tooBusy()
      if (conflicts > 2) await this.#pauseAfterConflict(unseen)
      const { revision } = known
      known = await this.#load(stream)
      unseen = known.revision === revision ? unseen + 1 : 0
      fresh = true
    }
  }

  /** @param unseen readings in a row without what the others wrote: a replica may be behind */
  async #pauseAfterConflict(unseen: number): Promise<void> {
    const { clock, ids } = this.#ports
    await clock.sleep(ids.random01() * conflictPauseMsMax * 2 ** Math.min(unseen, unseenMax))
  }

  /** A state to decide on without a look at the store; undefined when there is none. */
  #known(stream: string, batch: readonly Waiting<State, Command, Event>[]) {
    const { isShared, begins } = this.#aggregate
    const known = this.#cache.get(stream)
    if (!known && batch.every(({ command }) => begins(command))) return this.#nothing
    // A state that other processes move too is nearly always behind: reading what is new, together
    // with the other streams of the beat, costs less than an append that loses.
    return isShared ? known && this.#heard(stream, known) : known
  }

  /** A state and what was heard since; undefined when nothing was heard of what follows it. */
  #heard(stream: string, known: Loaded<State>): Loaded<State> | undefined {
    const events = this.#ports.store.recent(stream, known.revision + 1)
    return events ? this.#remember(stream, this.#advance(known, events)) : undefined
  }

  #decide(known: Loaded<State>, batch: readonly Waiting<State, Command, Event>[]) {
    const { decider } = this.#aggregate
    const events: NewEvent[] = []
    const answers: Answer<State, Event>[] = []
    let { state, revision } = known
    for (const { command, context } of batch) {
      try {
        const decided = decider.decide(state, command)
        // What one append cannot take is left without an answer, for the next batch.
        if (events.length > 0 && events.length + decided.length > appendCountMax) break
        for (const event of decided) state = decider.evolve(state, event)
        revision += decided.length
        events.push(...this.#envelopes(decided, context))
        answers.push({ handled: { state, revision, events: decided } })
      } catch (error) {
        if (!(error instanceof DomainError)) throw error
        answers.push({ refusal: error })
      }
    }
    return { events, answers, loaded: { state, revision } }
  }

  #envelopes(events: readonly Event[], context: CommandContext): readonly NewEvent[] {
    const { commandId, orgId, actor, correlationId, traceparent } = context
    const at = isoTime(this.#ports.clock.now())
    const meta = { orgId, actor, correlationId, causationId: commandId, traceparent, at, schema: 1 }
    return events.map((event, index) => {
      // Most commands cause one event; hashing an id for it was a tenth of a worker's time.
      const id = index === 0 ? commandId : this.#ports.ids.derive(commandId, String(index))
      return { id, type: event.type, data: event.data, meta }
    })
  }

  /** True when written, false when somebody else was faster. */
  async #append(stream: string, revision: number, events: readonly NewEvent[]): Promise<boolean> {
    const { store, clock, observer } = this.#ports
    const { category } = this.#aggregate
    const startedAt = clock.now()
    for (let unknown = 0; ; unknown++) {
      try {
        await store.append(stream, revision, events)
        observer.appended(category, events.length, clock.now() - startedAt)
        return true
      } catch (error) {
        if (error instanceof RevisionConflict) {
          observer.conflicted(category)
          return false
        }
        if (!(error instanceof UnknownOutcome)) throw error
        if (unknown >= unknownMax) throw unreachableStore(error)
        await clock.sleep(50 * 2 ** unknown)
      }
    }
  }

  async #read(stream: string, fromRevision: number): Promise<readonly RecordedEvent[]> {
    try {
      return await readAll(this.#ports.store, stream, fromRevision)
    } catch (error) {
      throw unreachableStore(error)
    }
  }

  async #fromSnapshot(stream: string): Promise<Loaded<State>> {
    const { snapshot } = this.#aggregate
    if (!snapshot) return this.#nothing
    // A snapshot that cannot be read costs time, nothing else.
    const found = await this.#ports.snapshots.load(stream, snapshot.version).catch(() => null)
    const state = found && snapshot.decode(found.state)
    if (!found || state === null) return this.#nothing
    this.#snapshotAt.set(stream, found.revision)
    return { state, revision: found.revision }
  }

  #advance(known: Loaded<State>, events: readonly RecordedEvent[]): Loaded<State> {
    let { state, revision } = known
    for (const event of events) {
      if (this.#aggregate.owns(event)) state = this.#aggregate.decider.evolve(state, event)
      revision = event.revision
    }
    return { state, revision }
  }

  #remember(stream: string, loaded: Loaded<State>): Loaded<State> {
    this.#cache.delete(stream)
    if (loaded.revision === NO_STREAM) return loaded
    this.#cache.set(stream, loaded)
    if (this.#cache.size > cachedMax) {
      const oldest = this.#cache.keys().next()
      if (!oldest.done) this.#cache.delete(oldest.value)
    }
    return loaded
  }

  #snapshotWhenDue(stream: string, { state, revision }: Loaded<State>): void {
    const { snapshot } = this.#aggregate
    if (!snapshot) return
    const last = this.#snapshotAt.get(stream) ?? 0
    if (revision - last < snapshot.eventsUntil(state)) return
    this.#snapshotAt.set(stream, revision)
    // A snapshot that is not kept costs time at the next start, nothing else.
    const stored = { revision, state: snapshot.encode(state) }
    this.#ports.snapshots.save(stream, snapshot.version, stored).catch(() => undefined)
  }
}

function reply<State, Command, Event>(
  waiting: Waiting<State, Command, Event> | undefined,
  answer: Answer<State, Event>,
): void {
  assert(waiting, 'an answer has its command')
  if ('refusal' in answer) waiting.reject(answer.refusal)
  else waiting.resolve(answer.handled)
}

function tooBusy(): DomainError {
  return new DomainError('unavailable', 'Too many writers at once; try again.')
}

function unreachableStore(cause: unknown): DomainError {
  return new DomainError('unavailable', 'The event store does not answer.', {}, { cause })
}
