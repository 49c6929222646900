import { EngineUnavailable } from './engine-unavailable.ts'

/** An object that is there, whole. */
export type StoredObject = {
  readonly key: string
  readonly contentType: string
  readonly bytes: number
  readonly sha256: string
}

/** What `put` is given beside the bytes. */
export type PutOptions = {
  readonly contentType: string
  /** Refuse more than this. */
  readonly bytesMax: number
}

/** A URL that carries its own permission until it expires. */
export type SignedUrl = {
  readonly url: string
  readonly method: 'GET' | 'PUT'
  readonly headers: Readonly<Record<string, string>>
}

/** What a signed upload permits: one PUT of exactly that. */
export type UploadGrant = {
  readonly key: string
  readonly contentType: string
  readonly bytes: number
  readonly expiresAt: number
}

/** The object is not there. */
export class ObjectMissing extends Error {
  override readonly name = 'ObjectMissing'
}

/** The bytes are more than permitted. */
export class ObjectTooLarge extends Error {
  override readonly name = 'ObjectTooLarge'
}

/** The store does not answer, or not in time; what was asked of it may have happened. */
export class ObjectStoreUnavailable extends EngineUnavailable {
  override readonly name = 'ObjectStoreUnavailable'
}

/**
 * Results and inputs. A put is whole or not at all: a reader never sees half an object, whatever
 * dies. Keys are `/`-separated safe names, e.g. `results/<jobId>/<attempt>`.
 * Every method may throw `ObjectStoreUnavailable`.
 */
export abstract class ObjectStore {
  /** @throws ObjectTooLarge; errors of the source stream */
  abstract put(
    key: string,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    options: PutOptions,
  ): Promise<StoredObject>

  /** @throws ObjectMissing */
  abstract get(key: string): Promise<{ object: StoredObject; body: AsyncIterable<Uint8Array> }>

  /** What is known of the object, or null. */
  abstract head(key: string): Promise<StoredObject | null>

  abstract delete(key: string): Promise<void>

  /** A GET URL that needs no header, valid until `expiresAt` (ms since the epoch). */
  abstract signGet(key: string, expiresAt: number, downloadName?: string): Promise<SignedUrl>

  /** A PUT URL for exactly one upload of exactly that type and length. */
  abstract signPut(grant: UploadGrant): Promise<SignedUrl>
}
