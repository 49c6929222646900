import { AccountChains, beginning, headerLine, nameOf, sha256 } from './log-file.ts'
import { readEndLine, readEventLine } from './log-file.ts'
import type { EventLine } from './log-file.ts'
import { linesOf } from './lines.ts'
import type { ChainHead } from './ledger-heads.ts'
import type { AuditRoot } from './root.ts'

/** The first thing that is wrong. */
export type BadEvent = {
  /** The line in the file, from 1. */
  readonly line: number
  /** Number of the event in the log, from 0; null for the first and last line of the file. */
  readonly n: number | null
  /** Null when nothing in the file tells it. */
  readonly stream: string | null
  readonly revision: number | null
  /** A sentence for the person who looks into it. */
  readonly what: string
}

export type ExportVerdict = {
  /** Events that were found good. */
  readonly events: number
  readonly streams: number
  /** Where the chain of each account ends: `ledger_head` must say the same. */
  readonly accounts: readonly ChainHead[]
  /** The hash of the last good line. */
  readonly hash: string
  readonly bad: BadEvent | null
}

/**
 * Checks an exported log with nothing but the file: every byte is covered by a hash, every hash by
 * the next one, each stream has its revisions without holes, and each account's chain is computed
 * anew. Names the first event that is changed, missing or in another place.
 *
 * @param root what was kept of the log on a day: all of it must still be there, unchanged
 */
export async function verifyExport(
  file: AsyncIterable<Uint8Array>,
  root: AuditRoot | null = null,
): Promise<ExportVerdict> {
  const check = new Check(root)
  let [line, bad]: [number, BadEvent | null] = [0, null]
  for await (const text of linesOf(file)) {
    if (bad) {
      // What follows knows the name of a bad event better than the event itself.
      bad = named(bad, text)
      break
    }
    line += 1
    bad = check.see(text, line)
  }
  if (bad === null && !check.isEnded) bad = check.tornAt(line + 1)
  return { ...check.summary(), bad }
}

/** The checks of a file, line by line. */
class Check {
  readonly #revisions = new Map<string, number>()
  readonly #chains = new AccountChains()
  #events = 0
  #hash = sha256(headerLine)
  #after = beginning
  isEnded = false
  /** What the root says of each account, until that event was seen. */
  readonly #rooted: Map<string, ChainHead>
  readonly #rootName: string

  constructor(root: AuditRoot | null) {
    this.#rooted = new Map((root?.accounts ?? []).map((head) => [head.stream, head]))
    this.#rootName = `the root of ${root?.day ?? 'no day'}`
  }

  see(text: string | null, line: number): BadEvent | null {
    const about = { line, n: null, ...unnamed }
    if (line === 1) {
      if (text === headerLine) return null
      return { ...about, what: 'The first line is not that of an exported log of this version.' }
    }
    if (this.isEnded) return { ...about, what: 'Something follows the last line.' }
    const end = text === null ? null : readEndLine(text)
    if (end) {
      this.isEnded = true
      if (end.events > this.#events) return this.#missing(line, end.events, end.after)
      const { events, after, hash } = end
      const isRight = events === this.#events && after === this.#after && hash === this.#hash
      if (!isRight) return { ...about, what: 'The last line does not fit what is before it.' }
      return this.#lacking(line)
    }
    const event = text === null ? null : readEventLine(text)
    const n = this.#events
    if (!event) return { line, n, ...guessed(text), what: 'The line cannot be read.' }
    return this.#event(event, line)
  }

  tornAt(line: number): BadEvent {
    const what = `The file ends early, after ${this.#after}.`
    return { line, n: this.#events, ...unnamed, what }
  }

  summary() {
    const [events, streams] = [this.#events, this.#revisions.size]
    return { events, streams, accounts: this.#chains.heads(), hash: this.#hash }
  }

  #event(event: EventLine, line: number): BadEvent | null {
    const { n, stream, revision, computed, hash } = event
    const bad = (what: string): BadEvent => ({ line, n: this.#events, stream, revision, what })
    if (computed !== hash) return bad('The event, or its hash, was changed.')
    if (n > this.#events) return this.#missing(line, n, event.after)
    if (n < this.#events) return bad('The event stands in another place, or twice.')
    if (event.prev !== this.#hash) return bad(`It does not follow ${this.#after} as it stands.`)
    const expected = this.#revisions.get(stream) ?? 0
    if (revision !== expected) return bad(`Revision ${expected} of its stream should stand here.`)
    if (this.#chains.add(event) !== event.chain) return bad('The chain of its account is broken.')
    const rooted = this.#rooted.get(stream)
    if (rooted?.revision === revision) {
      this.#rooted.delete(stream)
      if (rooted.hash !== event.chain)
        return bad(`Up to here it is not what ${this.#rootName} has.`)
    }
    this.#revisions.set(stream, revision + 1)
    this.#events += 1
    this.#hash = hash
    this.#after = nameOf(event)
    return null
  }

  /** Of what the root has, the first that the file lacks. */
  #lacking(line: number): BadEvent | null {
    const [first] = this.#rooted.values()
    if (!first) return null
    const { stream, revision } = first
    return { line, n: null, stream, revision, what: `The file lacks it, ${this.#rootName} has it.` }
  }

  /** Up to the event with number `until`, whose line says what was before it. */
  #missing(line: number, until: number, before: string): BadEvent {
    const count = until - this.#events
    const what =
      count === 1
        ? 'The event is missing, or stands in another place.'
        : `${count} events are missing before this line; the last of them is ${before}.`
    const n = this.#events
    return { line, n, ...(count === 1 ? placeOf(before) : unnamed), what }
  }
}

type Place = Pick<BadEvent, 'stream' | 'revision'>

const unnamed: Place = { stream: null, revision: null }

function placeOf(name: string): Place {
  const [, stream, revision] = /^(.+)@(\d+)$/s.exec(name) ?? []
  if (stream === undefined || revision === undefined) return unnamed
  return { stream, revision: Number(revision) }
}

/** What a line that cannot be read seems to say. */
function guessed(text: string | null): Place {
  const stream = /"stream":"([^"\\]{1,200})"/.exec(text ?? '')?.[1] ?? null
  const revision = /"revision":(\d{1,10})[,}]/.exec(text ?? '')?.[1]
  return { stream, revision: revision === undefined ? null : Number(revision) }
}

/** The bad event under the name that the intact line after it has for it. */
function named(bad: BadEvent, following: string | null): BadEvent {
  if (bad.n === null || following === null) return bad
  const event = readEventLine(following)
  const end = readEndLine(following)
  const isNext = event?.computed === event?.hash && event?.n === bad.n + 1
  const name = event && isNext ? event.after : end?.events === bad.n + 1 ? end.after : null
  return name === null ? bad : { ...bad, ...placeOf(name) }
}
