import { createHash } from 'node:crypto'
import { invalid } from '../../domain/errors.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { parseTime } from './envelope.ts'

export type Query = Readonly<Record<string, unknown>>

export const limitDefault = 50
export const limitMax = 100

/** A page of a list. */
export type Page<T> = { readonly items: readonly T[]; readonly nextCursor: string | null }

/** Where a list goes on: after the row with these sort values. */
export type PageRequest = {
  readonly limit: number
  /** Null for the first page. */
  readonly after: readonly string[] | null
  readonly fingerprint: string
}

/** Reads one filter. @throws DomainError `invalid_request` when it is given twice or too long */
export function textParam(query: Query, name: string): string | null {
  const value = query[name]
  if (value === undefined || value === '') return null
  const usable = typeof value === 'string' && value.length <= 256 && isStorable(value)
  if (!usable) throw bad(name, 'must be given once, as text of at most 256 characters')
  return value
}

/** Reads a time filter; ISO 8601. */
export function timeParam(query: Query, name: string): string | null {
  const text = textParam(query, name)
  if (text === null) return null
  const ms = parseTime(text)
  if (ms === null) throw bad(name, 'must be a time in ISO 8601, e.g. 2026-01-31T09:00:00Z')
  return isoTime(ms)
}

/** Reads one of a closed set of values. */
export function choiceParam<T extends string>(
  query: Query,
  name: string,
  choices: readonly T[],
): T | null {
  const text = textParam(query, name)
  if (text === null) return null
  const choice = choices.find((candidate) => candidate === text)
  if (choice === undefined) throw bad(name, `must be one of ${choices.join(', ')}`)
  return choice
}

export function limitParam(query: Query): number {
  const text = textParam(query, 'limit')
  if (text === null) return limitDefault
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > limitMax) throw bad('limit', `must be from 1 to ${limitMax}`)
  return limit
}

/** What a sort value looks like. A cursor comes from outside, and goes into a statement. */
export type SortKind = 'time' | 'number' | 'text'

const sortKinds: Readonly<Record<SortKind, (value: string) => boolean>> = {
  time: (value) => {
    const ms = parseTime(value)
    return ms !== null && isoTime(ms) === value
  },
  number: (value) => /^\d{1,13}$/.test(value),
  text: (value) => value !== '',
}

/**
 * Reads limit and cursor. The cursor only fits the filters that it was made for.
 *
 * @param filters the list's name and whatever narrows it
 * @param sorting what the rows are sorted by, as `page` is told
 */
export function pageRequest(
  query: Query,
  filters: readonly (string | null)[],
  sorting: readonly SortKind[] = ['time', 'text'],
): PageRequest {
  const fingerprint = createHash('sha256').update(JSON.stringify(filters)).digest('base64url')
  const limit = limitParam(query)
  const cursor = textParam(query, 'cursor')
  if (cursor === null) return { limit, after: null, fingerprint }
  const after = decodeCursor(cursor, fingerprint)
  const fits = after?.length === sorting.length
  if (!fits || !sorting.every((kind, index) => sortKinds[kind](after[index] ?? ''))) {
    throw bad('cursor', 'is not a cursor of this list with these filters')
  }
  return { limit, after, fingerprint }
}

/** Cuts the page and names the next one. `rows` holds one row more when there is one. */
export function page<Row, T>(
  rows: readonly Row[],
  { limit, fingerprint }: PageRequest,
  keyOf: (row: Row) => readonly string[],
  show: (row: Row) => T,
): Page<T> {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const more = rows.length > limit && last !== undefined
  const cursor = more ? [fingerprint.slice(0, 12), ...keyOf(last)] : null
  return {
    items: shown.map(show),
    nextCursor: cursor && Buffer.from(JSON.stringify(cursor)).toString('base64url'),
  }
}

/** The sort values in a cursor; null when it is not one for these filters. */
function decodeCursor(cursor: string, fingerprint: string): readonly string[] | null {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (isTexts(parts) && parts[0] === fingerprint.slice(0, 12) && parts.every(isStorable)) {
      return parts.slice(1)
    }
  } catch {
    // Not one of ours.
  }
  return null
}

function isTexts(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) && value.length <= 5 && value.every((part) => typeof part === 'string')
  )
}

function isStorable(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed()
}

function bad(name: string, detail: string) {
  return invalid('invalid_request', [{ pointer: `?${name}`, detail }])
}
