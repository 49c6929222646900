import { createHash } from 'node:crypto'
import { canonical, chainHash, chainVersion, genesisHash } from '../../domain/ledger/canonical.ts'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { Json, JsonObject } from '../../domain/json.ts'

/**
 * The log as a file that can be checked without weir's database: lines of canonical JSON.
 *
 *   { format, version, chain }                                           the header
 *   { n, stream, revision, id, type, data, meta, position, recordedAt,   one per event, and
 *     chain, after, prev, hash }                                         n counts from 0
 *   { end, events, after, hash }                                         the last line
 *
 * `hash` is SHA-256 of the line without it; `prev` is the hash of the line before and `after` names
 * its event, so that what is missing can be named by what follows. `chain` is the hash of the
 * account's own chain, the one that its ledger shows; null in streams that have none.
 */
export const logFileFormat = 'weir-log'
export const logFileVersion = 1

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export const headerLine = canonical({
  ...{ format: logFileFormat, version: logFileVersion, chain: chainVersion },
})

/** `account-7f…@12`: an event by its place. */
export const nameOf = ({ stream, revision }: Pick<RecordedEvent, 'stream' | 'revision'>): string =>
  `${stream}@${revision}`

/** Name of what stands before the first event. */
export const beginning = 'the beginning'

/** Chains of the accounts, carried on event by event. */
export class AccountChains {
  readonly #heads = new Map<string, { revision: number; hash: string }>()

  /** The hash of the event in its account's chain; null when its stream has none. */
  add(event: Parameters<typeof chainHash>[2]): string | null {
    const { stream, revision } = event
    if (!stream.startsWith('account-')) return null
    const hash = chainHash(sha256, this.#heads.get(stream)?.hash ?? genesisHash, event)
    this.#heads.set(stream, { revision, hash })
    return hash
  }

  /** Where each account's chain ends. */
  heads(): readonly {
    readonly stream: string
    readonly revision: number
    readonly hash: string
  }[] {
    return [...this.#heads].map(([stream, head]) => ({ stream, ...head }))
  }
}

/** The hash of a line, given all of its members but `hash`. */
export function lineHash(line: JsonObject): string {
  return sha256(canonical(line))
}

/** A line of an event, as it was read. */
export type EventLine = {
  readonly n: number
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly data: JsonObject
  readonly meta: JsonObject
  readonly recordedAt: string
  readonly chain: string | null
  readonly after: string
  readonly prev: string
  readonly hash: string
  /** What the line's hash must be. */
  readonly computed: string
}

/** Reads a line in the one form that it may have; null when it is not one of an event. */
export function readEventLine(text: string): EventLine | null {
  const line = readObject(text)
  if (!line) return null
  const { n, stream, revision, id, type, data, meta, recordedAt, chain, after, prev, hash } = line
  if (!isCount(n) || !isCount(revision) || !isObject(data) || !isObject(meta)) return null
  if (!isText(stream) || !isText(id) || !isText(type) || !isText(after)) return null
  if (!isText(recordedAt) || !isText(prev) || !isText(hash) || !(chain === null || isText(chain)))
    return null
  const { hash: _, ...rest } = line
  const computed = lineHash(rest)
  const event = { stream, revision, id, type, data, meta, recordedAt }
  return { n, ...event, chain, after, prev, hash, computed }
}

/** The last line. */
export type EndLine = { readonly events: number; readonly after: string; readonly hash: string }

export function readEndLine(text: string): EndLine | null {
  const line = readObject(text)
  if (line?.['end'] !== true) return null
  const { events, after, hash } = line
  return isCount(events) && isText(after) && isText(hash) ? { events, after, hash } : null
}

/** A JSON object that is written exactly as canonical() would write it. */
function readObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && canonical(value) === text ? value : null
  } catch {
    return null
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const isText = (value: Json | undefined): value is string => typeof value === 'string'
const isCount = (value: Json | undefined): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
