import type { Journal } from './journal.ts'
import type { StandInRecord } from './record.ts'

export type ProposedEvent = Pick<StandInRecord, 'id' | 'type' | 'isJson' | 'data' | 'meta'>

export type ExpectedRevision = number | 'any' | 'no stream' | 'stream exists'

export type AppendOutcome =
  | { readonly kind: 'appended'; readonly revision: number; readonly position: number }
  | { readonly kind: 'wrong revision'; readonly current: number | null }
  | { readonly kind: 'deleted' }
  /** The same was written, and nobody may read it yet: the server drops the repeat. */
  | { readonly kind: 'not ready' }

type Stream = { readonly records: StandInRecord[]; isDeleted: boolean }

/** A server's system writes among the events of its users. */
const systemWriteEveryAppends = 7
const recordOverheadBytes = 87

/**
 * The log of the stand-in: streams with expected revisions, and repeats found by the ids of events,
 * as an EventStoreDB decides them. With a journal, nothing is seen or answered before it is synced.
 */
export class StandInLog {
  readonly #journal: Journal | null
  readonly #records: StandInRecord[] = []
  readonly #streams = new Map<string, Stream>()
  readonly #ids = new Map<string, StandInRecord>()
  readonly #growing = new Set<() => void>()
  #visible = 0
  #end = 0
  #appends = 0

  constructor(journal: Journal | null = null) {
    this.#journal = journal
    for (const record of journal?.load() ?? []) this.#remember(record)
    if (this.#records.length === 0) {
      this.#add('$users', [systemEvent('$UserCreated', { user: 'admin' })])
      this.#add('$settings', [systemEvent('settings', {})])
    }
    this.#visible = this.#records.length
  }

  /** How many records readers may see. */
  get visible(): number {
    return this.#visible
  }

  get #lastVisible(): number {
    return this.#records[this.#visible - 1]?.position ?? -1
  }

  at(index: number): StandInRecord | undefined {
    return this.#records[index]
  }

  /** Index of the first record at or beyond the position. */
  indexOf(position: bigint): number {
    let [low, high] = [0, this.#visible]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (BigInt(this.#records[middle]?.position ?? 0) < position) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Whether a record begins at the position, or nothing is there yet. */
  isPlace(position: bigint): boolean {
    const index = this.indexOf(position)
    return index >= this.#visible || BigInt(this.#records[index]?.position ?? 0) === position
  }

  /** What readers may see of a stream; null when there is none. */
  stream(name: string): { records: readonly StandInRecord[]; isDeleted: boolean } | null {
    const stream = this.#streams.get(name)
    if (!stream) return null
    const last = this.#lastVisible
    const { records, isDeleted } = stream
    if ((records.at(-1)?.position ?? -1) <= last) return { records, isDeleted }
    return { records: records.filter(({ position }) => position <= last), isDeleted }
  }

  /** Resolves when the append is refused, or on disk if there is a journal. */
  async append(
    name: string,
    expected: ExpectedRevision,
    events: readonly ProposedEvent[],
  ): Promise<AppendOutcome> {
    const stream = this.#streams.get(name)
    if (stream?.isDeleted) return { kind: 'deleted' }
    const current = (stream?.records.length ?? 0) - 1
    const outcome = this.#decide(name, expected, events)
    if (outcome !== 'write') return outcome
    this.#appends += 1
    this.#add(name, events)
    if (this.#appends % systemWriteEveryAppends === 0) this.#writeAsSystem(name)
    const written = this.#streams.get(name)?.records[current + events.length]
    await this.#synced()
    return { kind: 'appended', revision: current + events.length, position: written?.position ?? 0 }
  }

  async delete(name: string): Promise<void> {
    this.#add(name, [systemEvent('$streamDeleted', {})])
    await this.#synced()
  }

  /** Calls `grown` whenever there is more to see, until the returned function is called. */
  onGrowth(grown: () => void): () => void {
    this.#growing.add(grown)
    return () => void this.#growing.delete(grown)
  }

  #decide(
    name: string,
    expected: ExpectedRevision,
    events: readonly ProposedEvent[],
  ): AppendOutcome | 'write' {
    const records = this.#streams.get(name)?.records ?? []
    const current = records.length - 1
    const wrong = { kind: 'wrong revision', current: current < 0 ? null : current } as const
    if (expected === 'stream exists' && current < 0) return wrong
    if (expected === 'any' || expected === 'stream exists') {
      const known = events.map(({ id }) => this.#ids.get(id))
      const repeated = known.filter((record) => record?.stream === name)
      if (repeated.length === 0) return 'write'
      return repeated.length === events.length ? this.#repeated(repeated.at(-1)) : wrong
    }
    const at = expected === 'no stream' ? -1 : expected
    if (at === current) return 'write'
    if (at > current) return wrong
    const there = events.map((_, offset) => records[at + 1 + offset])
    const isRepeat = events.every(({ id }, offset) => there[offset]?.id === id)
    return isRepeat && events.length > 0 ? this.#repeated(there.at(-1)) : wrong
  }

  #repeated(last: StandInRecord | undefined): AppendOutcome {
    const { position = 0, revision = 0 } = last ?? {}
    if (position > this.#lastVisible) return { kind: 'not ready' }
    return { kind: 'appended', revision, position }
  }

  #writeAsSystem(name: string): void {
    this.#add(`$$${name}`, [systemEvent('$metadata', { $maxCount: 100_000 })])
    const [category = name] = name.split('-')
    this.#add(`$ce-${category}`, [systemEvent('$>', { link: `0@${name}` })])
  }

  #add(name: string, events: readonly ProposedEvent[]): void {
    const first = this.#streams.get(name)?.records.length ?? 0
    const createdMs = Date.now()
    const added = events.map((event, offset) => {
      const place = { stream: name, revision: first + offset, position: this.#end, createdMs }
      const { data, meta, type } = event
      const texts = 2 * (name.length + type.length)
      this.#end += recordOverheadBytes + texts + data.length + meta.length
      return { ...event, ...place }
    })
    for (const record of added) this.#remember(record)
    if (this.#journal) this.#journal.add(added)
    else this.#show(this.#records.length)
  }

  #remember(record: StandInRecord): void {
    const stream = this.#streams.get(record.stream) ?? { records: [], isDeleted: false }
    stream.records.push(record)
    if (record.type === '$streamDeleted') stream.isDeleted = true
    this.#streams.set(record.stream, stream)
    this.#ids.set(record.id, record)
    this.#records.push(record)
    const { data, meta, type, position } = record
    const texts = 2 * (record.stream.length + type.length)
    this.#end = position + recordOverheadBytes + texts + data.length + meta.length
  }

  async #synced(): Promise<void> {
    const until = this.#records.length
    if (this.#visible >= until) return
    await this.#journal?.synced()
    this.#show(until)
  }

  #show(until: number): void {
    if (until <= this.#visible) return
    this.#visible = until
    for (const grown of [...this.#growing]) grown()
  }
}

let systemEvents = 0

function systemEvent(type: string, data: object): ProposedEvent {
  systemEvents += 1
  const number = (Date.now() * 1_000 + systemEvents).toString(16).padStart(32, '0')
  const id = number.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return { id, type, isJson: true, data: Buffer.from(JSON.stringify(data)), meta: Buffer.alloc(0) }
}
