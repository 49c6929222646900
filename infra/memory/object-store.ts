import { createHash } from 'node:crypto'
import type { Clock } from '../../domain/ports/clock.ts'
import {
  ObjectMissing,
  ObjectStore,
  ObjectTooLarge,
  type PutOptions,
  type SignedUrl,
  type StoredObject,
  type UploadGrant,
} from '../../domain/ports/object-store.ts'
import type { PermitCheck } from '../../domain/upload/object-permit.ts'
import {
  signObjectUrl,
  verifyObjectUrl,
  type ObjectRequest,
  type UrlSigning,
} from '../filesystem/signed-url.ts'
import { checkObjectKey } from '../object-key.ts'

type Kept = { readonly object: StoredObject; readonly bytes: Uint8Array }

/** Objects in the memory of one process, for tests and the simulator. */
export class MemoryObjectStore extends ObjectStore {
  readonly #signing: UrlSigning
  readonly #clock: Clock
  readonly #kept = new Map<string, Kept>()

  constructor(options: UrlSigning & { readonly clock: Clock }) {
    super()
    this.#signing = { baseUrl: options.baseUrl, secretKey: options.secretKey }
    this.#clock = options.clock
  }

  override async put(
    key: string,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    options: PutOptions,
  ): Promise<StoredObject> {
    checkObjectKey(key)
    const kept = await collect(key, body, options)
    this.#kept.set(key, kept)
    return kept.object
  }

  /** Puts the object unless one is there already; null then. */
  async putOnce(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<StoredObject | null> {
    checkObjectKey(key)
    const kept = await collect(key, body, options)
    if (this.#kept.has(key)) return null
    this.#kept.set(key, kept)
    return kept.object
  }

  override async get(
    key: string,
    range?: { readonly start: number; readonly end: number },
  ): Promise<{ object: StoredObject; body: AsyncIterable<Uint8Array> }> {
    checkObjectKey(key)
    const kept = this.#kept.get(key)
    if (kept === undefined) throw new ObjectMissing(`no object ${key}`)
    return { object: kept.object, body: only(kept.bytes.slice(range?.start, range?.end)) }
  }

  override async head(key: string): Promise<StoredObject | null> {
    checkObjectKey(key)
    return this.#kept.get(key)?.object ?? null
  }

  override async delete(key: string): Promise<void> {
    checkObjectKey(key)
    this.#kept.delete(key)
  }

  override async signGet(
    key: string,
    expiresAt: number,
    downloadName?: string,
  ): Promise<SignedUrl> {
    checkObjectKey(key)
    const permit = { method: 'GET', key, expiresAt, downloadName: downloadName ?? null } as const
    return { url: signObjectUrl(this.#signing, permit), method: 'GET', headers: {} }
  }

  override async signPut(grant: UploadGrant): Promise<SignedUrl> {
    checkObjectKey(grant.key)
    const url = signObjectUrl(this.#signing, { method: 'PUT', ...grant })
    return { url, method: 'PUT', headers: { 'content-type': grant.contentType } }
  }

  /** Checks a request that came with one of this store's URLs. */
  verify(request: ObjectRequest): PermitCheck {
    return verifyObjectUrl(this.#signing.secretKey, request, this.#clock.now())
  }
}

async function collect(
  key: string,
  body: AsyncIterable<Uint8Array> | Uint8Array,
  { contentType, bytesMax }: PutOptions,
): Promise<Kept> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    length += chunk.byteLength
    if (length > bytesMax) throw new ObjectTooLarge(`${key} has more than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { object: { key, contentType, bytes: bytes.byteLength, sha256 }, bytes }
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes
}
