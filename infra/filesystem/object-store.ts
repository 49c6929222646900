import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { assert } from '../../domain/assert.ts'
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
import { checkObjectKey } from '../object-key.ts'
import { orUnavailable } from './errors.ts'
import { encodeTail, readAt, readEntry, readIndex, type ObjectEntry } from './object-file.ts'
import { codeOf, ObjectFolder, removeFile, type Published } from './object-folder.ts'
import {
  signObjectUrl,
  verifyObjectUrl,
  type ObjectRequest,
  type UrlSigning,
} from './signed-url.ts'
import { SmallObjectBatch, smallObjectBytesMax } from './small-object-batch.ts'

const readChunkBytes = 64 * 1024
const writeChunkBytes = 1024 * 1024
const tempAgeMsDefault = 3_600_000

/** Where the store keeps its files, and how its URLs are signed. */
export type FilesystemObjectStoreOptions = UrlSigning & {
  /** A folder of the store alone, on a file system with hard links. */
  readonly root: string
  readonly clock: Clock
}

/** A part of an object: from `start` to `end`, exclusive. */
export type ByteRange = { readonly start: number; readonly end: number }

/** Objects as files below one folder, which every process of an installation can share. */
export class FilesystemObjectStore extends ObjectStore {
  readonly #signing: UrlSigning
  readonly #clock: Clock
  readonly #folder: ObjectFolder
  readonly #small: SmallObjectBatch

  constructor(options: FilesystemObjectStoreOptions) {
    super()
    this.#signing = { baseUrl: options.baseUrl, secretKey: options.secretKey }
    this.#clock = options.clock
    this.#folder = new ObjectFolder(options.root)
    this.#small = new SmallObjectBatch(this.#folder)
  }

  override async put(
    key: string,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    options: PutOptions,
  ): Promise<StoredObject> {
    checkObjectKey(key)
    if (body instanceof Uint8Array && body.byteLength <= smallObjectBytesMax) {
      if (body.byteLength > options.bytesMax) throw tooLarge(key, options.bytesMax)
      const sha256 = createHash('sha256').update(body).digest('hex')
      const { contentType } = options
      const object = { key, contentType, bytes: body.byteLength, sha256 }
      await orUnavailable(this.#small.put(object, body))
      return object
    }
    const large = this.#putLarge(key, body, { ...options, onlyNew: false })
    return (await orUnavailable(large)).object
  }

  /**
   * Puts the object unless one is there already; null then. Of several at a time one wins.
   *
   * @throws ObjectTooLarge; errors of the source stream
   */
  async putOnce(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<StoredObject | null> {
    checkObjectKey(key)
    const large = this.#putLarge(key, body, { ...options, onlyNew: true })
    const { object, published } = await orUnavailable(large)
    return published === 'placed' ? object : null
  }

  /** With a range the body is that part alone. */
  override async get(
    key: string,
    range?: ByteRange,
  ): Promise<{ object: StoredObject; body: AsyncIterable<Uint8Array> }> {
    const path = this.#pathOf(key)
    return withFile(path, key, async (file) => {
      const entry = await readEntry(file, key)
      const { start, end } = range ?? { start: 0, end: entry.bytes }
      assert(start >= 0 && start <= end && end <= entry.bytes, 'the range is within the object')
      const part = { start: entry.offset + start, end: entry.offset + end }
      const body =
        end - start <= readChunkBytes
          ? only(await readAt(file, part.start, part.end))
          : readPart(path, entry, part)
      return { object: objectOf(entry), body }
    })
  }

  override async head(key: string): Promise<StoredObject | null> {
    try {
      const path = this.#pathOf(key)
      return await withFile(path, key, async (file) => objectOf(await readEntry(file, key)))
    } catch (error) {
      if (error instanceof ObjectMissing) return null
      throw error
    }
  }

  /** Keys of all objects, in no order. */
  async *keys(): AsyncGenerator<string, void> {
    for await (const path of this.#folder.paths()) {
      const { entries } = await withFile(path, path, (file) => readIndex(file, path))
      const own = entries.find(({ key }) => this.#folder.pathOf(key) === path)
      if (own) yield own.key
    }
  }

  override async delete(key: string): Promise<void> {
    checkObjectKey(key)
    await this.#folder.remove(key)
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

  /** Removes what killed processes left half-written `ageMs` ago or earlier; returns how many. */
  sweep(ageMs: number = tempAgeMsDefault): Promise<number> {
    return this.#folder.sweepTemp(this.#clock.now() - ageMs)
  }

  /** Releases the folders that are held open. */
  close(): Promise<void> {
    return this.#folder.close()
  }

  #pathOf(key: string): string {
    checkObjectKey(key)
    return this.#folder.pathOf(key)
  }

  async #putLarge(
    key: string,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    options: PutOptions & { readonly onlyNew: boolean },
  ): Promise<{ object: StoredObject; published: Published }> {
    const path = await this.#folder.newTempPath()
    const object = await writeObject(path, key, { body, ...options }).catch(
      async (error: unknown) => {
        await removeFile(path)
        throw error
      },
    )
    const [outcome] = await this.#folder.publish(path, [key], options)
    assert(outcome !== undefined, 'each key has an outcome')
    if (outcome.status === 'rejected') throw outcome.reason
    return { object, published: outcome.value }
  }
}

async function writeObject(
  path: string,
  key: string,
  source: PutOptions & { readonly body: AsyncIterable<Uint8Array> | Uint8Array },
): Promise<StoredObject> {
  const file = await open(path, 'wx')
  try {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const piece of piecesOf(source.body)) {
      bytes += piece.byteLength
      if (bytes > source.bytesMax) throw tooLarge(key, source.bytesMax)
      hash.update(piece)
      await file.writeFile(piece)
    }
    const object = { key, contentType: source.contentType, bytes, sha256: hash.digest('hex') }
    await file.writeFile(encodeTail([{ ...object, offset: 0 }]))
    await file.datasync()
    return object
  } finally {
    await file.close()
  }
}

/** Large chunks in pieces, so that hashing one does not hold up the process. */
async function* piecesOf(body: AsyncIterable<Uint8Array> | Uint8Array) {
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    for (let at = 0; at < chunk.byteLength; at += writeChunkBytes) {
      yield chunk.subarray(at, at + writeChunkBytes)
    }
  }
}

async function* only(buffer: Buffer): AsyncGenerator<Uint8Array> {
  if (buffer.length > 0) yield buffer
}

/** Opens the file when the first byte is asked for: a body nobody reads holds nothing open. */
async function* readPart(
  path: string,
  expected: ObjectEntry,
  part: ByteRange,
): AsyncGenerator<Uint8Array> {
  const file = await openObject(path, expected.key)
  try {
    const entry = await readEntry(file, expected.key)
    if (entry.sha256 !== expected.sha256 || entry.offset !== expected.offset) {
      throw new ObjectMissing(`${expected.key} was replaced before it was read`)
    }
    for (let at = part.start; at < part.end; at += readChunkBytes) {
      yield await readAt(file, at, Math.min(at + readChunkBytes, part.end))
    }
  } finally {
    await file.close()
  }
}

async function withFile<T>(
  path: string,
  key: string,
  use: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await openObject(path, key)
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

async function openObject(path: string, key: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') throw new ObjectMissing(`no object ${key}`, { cause })
    throw cause
  }
}

function objectOf({ key, contentType, bytes, sha256 }: ObjectEntry): StoredObject {
  return { key, contentType, bytes, sha256 }
}

function tooLarge(key: string, bytesMax: number): ObjectTooLarge {
  return new ObjectTooLarge(`${key} has more than ${bytesMax} bytes`)
}
