import { canonical, chainVersion, genesisHash } from '../../domain/ledger/canonical.ts'
import type { JsonObject } from '../../domain/json.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import type { Clock } from '../../domain/ports/clock.ts'
import { ObjectMissing } from '../../domain/ports/object-store.ts'
import type { ObjectStore } from '../../domain/ports/object-store.ts'
import type { ReadModelStore } from '../../domain/ports/read-model-store.ts'
import type { Projection } from '../../projections/projection.ts'
import type { Loop, LoopReport } from '../loop.ts'
import { repeat } from '../repeat.ts'
import type { Turn } from '../repeat.ts'
import { ledgerHeads } from './ledger-heads.ts'
import type { ChainHead } from './ledger-heads.ts'
import { lineHash } from './log-file.ts'

/**
 * Where the chains of all accounts stood on a day, under one hash. Who keeps that hash elsewhere
 * can tell later whether anything that was booked until then has been changed.
 *
 *   { format, version, chain, day, at, accounts: [{ stream, revision, hash }], prev, hash }
 *
 * `hash` is SHA-256 of the canonical form without it; `prev` is the hash of the root before, so
 * that the roots are a chain themselves.
 */
export type AuditRoot = {
  /** `2026-12-01`, in UTC. */
  readonly day: string
  readonly at: string
  readonly accounts: readonly ChainHead[]
  readonly prev: string
  readonly hash: string
}

const format = 'weir-root'
const version = 1
/** How often a new day is looked for, ms. */
const everyMs = 600_000
/** A million accounts, at 150 bytes each. */
const rootBytesMax = 256_000_000
/** Names the day of the newest root. */
const latestKey = 'audit/latest'
const keyOf = (day: string): string => `audit/roots/${day}`

/** The text of the object or file that holds a root, and its parts. */
export type WrittenRoot = { readonly root: AuditRoot; readonly text: string }

export type RootOptions = {
  readonly store: ReadModelStore
  readonly projections: readonly Projection[]
  readonly objects: ObjectStore
  readonly clock: Clock
}

/** Writes the root of each day, in its first minutes. Several processes may do so at once. */
export function auditRoots(options: RootOptions & { readonly report: LoopReport }): Loop {
  const { clock, report } = options
  return repeat({
    ...{ name: 'audit-roots', clock, report },
    turn: async (): Promise<Turn> => {
      const written = await writeRoot(options)
      if (written) report('info', { day: written.day, hash: written.hash }, 'audit root written')
      return 'idle'
    },
    idle: (signal) => clock.sleep(everyMs, signal),
  })
}

/** Writes the root of today, unless it is there. Returns it when it was written. */
export async function writeRoot(options: RootOptions): Promise<AuditRoot | null> {
  const { store, projections, objects, clock } = options
  const at = isoTime(clock.now())
  const day = at.slice(0, 10)
  if (await objects.head(keyOf(day))) return null
  const before = await readRoot(objects)
  const accounts = await store.snapshot((live) => ledgerHeads(live, projections))
  const prev = before?.root.hash ?? genesisHash
  const content = { day, at, accounts, prev }
  const described = { format, version, chain: chainVersion, ...content }
  const hash = lineHash(described)
  await put(objects, keyOf(day), `${canonical({ ...described, hash })}\n`)
  // Last: who dies before leaves a root that the next one only does not build upon.
  await put(objects, latestKey, day)
  return { ...content, hash }
}

/**
 * The root that was kept for a day, or the newest one; null when there is none.
 *
 * @throws Error when what was kept is no root, or not the one whose hash it has
 */
export async function readRoot(objects: ObjectStore, day?: string): Promise<WrittenRoot | null> {
  const chosen = day ?? (await textOf(objects, latestKey))
  const text = chosen === null ? null : await textOf(objects, keyOf(chosen))
  if (text === null) return null
  const root = parseRoot(text)
  if (!root) throw new Error(`The root of ${chosen ?? 'that day'} was changed.`)
  return { root, text }
}

/** Reads the text of a root; null when it is none, or when its hash does not fit. */
export function parseRoot(text: string): AuditRoot | null {
  const value = readObject(text)
  if (value?.['format'] !== format || value['version'] !== version) return null
  const { hash, ...content } = value
  if (typeof hash !== 'string' || hash !== lineHash(content)) return null
  if (value['chain'] !== chainVersion) return null
  const { day, at, accounts, prev } = content
  if (typeof day !== 'string' || typeof at !== 'string' || typeof prev !== 'string') return null
  if (!Array.isArray(accounts)) return null
  const rooted = accounts.map(rootedAccount)
  if (rooted.includes(null)) return null
  return { day, at, prev, hash, accounts: rooted.filter((each) => each !== null) }
}

function rootedAccount(value: unknown): ChainHead | null {
  if (typeof value !== 'object' || value === null) return null
  if (!('stream' in value) || !('revision' in value) || !('hash' in value)) return null
  const { stream, revision, hash } = value
  if (typeof stream !== 'string' || typeof hash !== 'string') return null
  return typeof revision === 'number' ? { stream, revision, hash } : null
}

function readObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function put(objects: ObjectStore, key: string, text: string): Promise<void> {
  const contentType = 'application/json'
  await objects.put(key, Buffer.from(text), { contentType, bytesMax: rootBytesMax })
}

async function textOf(objects: ObjectStore, key: string): Promise<string | null> {
  try {
    const chunks: Uint8Array[] = []
    for await (const chunk of (await objects.get(key)).body) chunks.push(chunk)
    return Buffer.concat(chunks).toString('utf8')
  } catch (error) {
    if (error instanceof ObjectMissing) return null
    throw error
  }
}
