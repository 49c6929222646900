import type { Json, JsonObject } from '../json.ts'

/**
 * The hash chain of a stream: each event's hash covers the hash before it, so that nothing can be
 * changed, left out or put elsewhere without changing every hash after it.
 *
 *   hash(n) = SHA-256( version LF hash(n − 1) LF canonical(event n) ),  hash(−1) = 64 zeros
 *
 * The version names this very form. Another form gets another version; old hashes stay as they are.
 */
export const chainVersion = 'weir-chain-1'

/** What stands before the first event of a chain. */
export const genesisHash = '0'.repeat(64)

/** SHA-256 of the UTF-8 bytes of a text, as 64 hexadecimal digits. */
export type Sha256 = (text: string) => string

/** What a chain covers: all of an event but its place in the whole log. */
export type ChainedEvent = {
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly data: JsonObject
  readonly meta: JsonObject
}

/** The hash of an event that follows the one with `previous`. */
export function chainHash(sha256: Sha256, previous: string, event: ChainedEvent): string {
  const { stream, revision, id, type, data, meta } = event
  const text = canonical({ stream, revision, id, type, data, meta })
  return sha256(`${chainVersion}\n${previous}\n${text}`)
}

/**
 * JSON with the members of each object sorted by their names' UTF-16 code units, without spaces:
 * RFC 8785. One value has one text, whatever order its members were written in.
 */
export function canonical(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isList(value)) return `[${value.map(canonical).join(',')}]`
  let text = ''
  for (const name of Object.keys(value).sort()) {
    const member = value[name]
    if (member === undefined) continue
    text += `${text === '' ? '' : ','}${quoted(name)}:${canonical(member)}`
  }
  return `{${text}}`
}

/** The names of members are few, and come again and again. */
const quotedNames = new Map<string, string>()
const quotedNamesMax = 1_000

function quoted(name: string): string {
  const known = quotedNames.get(name)
  if (known !== undefined) return known
  const text = JSON.stringify(name)
  if (quotedNames.size < quotedNamesMax) quotedNames.set(name, text)
  return text
}

function isList(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value)
}
